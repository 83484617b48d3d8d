package simulator

import (
	"log"
	"os"
	"path"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// guest does what a real guest does and the library's does not, or only half.
// Vendor: vim.VirtualMachine (power operations, *Guest, RelocateVM_Task, CloneVM_Task, UnregisterVM), vim.vm.Snapshot.
type guest struct{ *VirtualMachine }

type snapshot struct{ *VirtualMachineSnapshot }

// folder registers a guest again as its .vmx file, which the library does not write, describes it.
type folder struct{ *Folder }

func init() {
	addTo(&VirtualMachine{}, func(o mo.Reference) interface{} { return guest{o.(*VirtualMachine)} })
	addTo(&VirtualMachineSnapshot{}, func(o mo.Reference) interface{} { return snapshot{o.(*VirtualMachineSnapshot)} })
	addTo(&Folder{}, func(o mo.Reference) interface{} { return folder{o.(*Folder)} })
}

var guests sync.Mutex                                // of the quick statistics
var pinned = map[types.ManagedObjectReference]bool{} // whose quick statistics a test has set

var vmxMutex sync.Mutex                        // its own: it is taken while a guest is locked
var vmxFiles = map[string]*mo.VirtualMachine{} // guests that were unregistered, by the path of their .vmx file

// settled makes what belongs to a power state follow it: boot time, VMware Tools.
func (g guest) settled(answer soap.HasFault) soap.HasFault {
	vm := g.VirtualMachine
	if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		if vm.Runtime.BootTime == nil {
			moment := now()
			vm.Runtime.BootTime = &moment
		}
	} else if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
		vm.Runtime.BootTime = nil
	}
	if vm.Guest.ToolsStatus != types.VirtualMachineToolsStatusToolsNotInstalled {
		showTools(vm, vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn)
	}
	vm.Summary.Runtime = vm.Runtime
	return answer
}

func showTools(vm *VirtualMachine, run bool) {
	running, status := types.VirtualMachineToolsRunningStatusGuestToolsNotRunning, types.VirtualMachineToolsStatusToolsNotRunning
	state := types.VirtualMachineGuestStateNotRunning
	if run {
		running, status = types.VirtualMachineToolsRunningStatusGuestToolsRunning, types.VirtualMachineToolsStatusToolsOk
		state = types.VirtualMachineGuestStateRunning
	}
	vm.Guest.ToolsRunningStatus, vm.Guest.ToolsStatus, vm.Guest.GuestState = string(running), status, string(state)
	vm.Summary.Guest.ToolsRunningStatus, vm.Summary.Guest.ToolsStatus = string(running), status
}

func (g guest) PowerOnVMTask(ctx *Context, r *types.PowerOnVM_Task) soap.HasFault {
	return g.settled(g.VirtualMachine.PowerOnVMTask(ctx, r))
}

func (g guest) PowerOffVMTask(ctx *Context, r *types.PowerOffVM_Task) soap.HasFault {
	return g.settled(g.VirtualMachine.PowerOffVMTask(ctx, r))
}

func (g guest) SuspendVMTask(ctx *Context, r *types.SuspendVM_Task) soap.HasFault {
	return g.settled(g.VirtualMachine.SuspendVMTask(ctx, r))
}

func (g guest) ResetVMTask(ctx *Context, r *types.ResetVM_Task) soap.HasFault {
	g.Runtime.BootTime = nil
	return g.settled(g.VirtualMachine.ResetVMTask(ctx, r))
}

// asksGuest returns the fault of a call that VMware Tools in the guest have to carry out, if they cannot.
func (g guest) asksGuest() *soap.Fault {
	if g.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return Fault("", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: g.Runtime.PowerState,
		})
	}
	if g.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		return Fault("Cannot complete operation because VMware Tools is not running in this virtual machine.",
			new(types.ToolsUnavailable))
	}
	return nil
}

func (g guest) ShutdownGuest(ctx *Context, r *types.ShutdownGuest) soap.HasFault {
	if fault := g.asksGuest(); fault != nil {
		return failed(fault)
	}
	return g.settled(g.VirtualMachine.ShutdownGuest(ctx, r))
}

func (g guest) RebootGuest(ctx *Context, _ *types.RebootGuest) soap.HasFault {
	if fault := g.asksGuest(); fault != nil {
		return failed(fault)
	}
	ctx.postEvent(&types.VmGuestRebootEvent{VmEvent: g.event()})
	g.Runtime.BootTime = nil
	return g.settled(&methods.RebootGuestBody{Res: new(types.RebootGuestResponse)})
}

func (g guest) StandbyGuest(ctx *Context, _ *types.StandbyGuest) soap.HasFault {
	if fault := g.asksGuest(); fault != nil {
		return failed(fault)
	}
	ctx.postEvent(&types.VmGuestStandbyEvent{VmEvent: g.event()})
	g.Runtime.PowerState = types.VirtualMachinePowerStateSuspended
	return g.settled(&methods.StandbyGuestBody{Res: new(types.StandbyGuestResponse)})
}

func (g guest) RenameTask(ctx *Context, r *types.Rename_Task) soap.HasFault {
	before := g.Name
	answer := g.VirtualMachine.RenameTask(r)
	if g.Name != before {
		g.Config.Name, g.Summary.Config.Name = g.Name, g.Name
		ctx.postEvent(&types.VmRenamedEvent{VmEvent: g.event(), OldName: before, NewName: g.Name})
	}
	return answer
}

// RelocateVMTask also moves the guest out of and into the lists of hosts, pools and datastores, and leaves the event.
func (g guest) RelocateVMTask(ctx *Context, r *types.RelocateVM_Task) soap.HasFault {
	source, event := g.placed(), g.event()
	answer := g.VirtualMachine.RelocateVMTask(ctx, r)
	target := g.placed()
	for i := range source {
		if source[i] == target[i] {
			continue
		}
		if list := guestsOf(source[i]); list != nil {
			Map.RemoveReference(source[i], list, g.Self)
		}
		if list := guestsOf(target[i]); list != nil {
			Map.AddReference(target[i], list, g.Self)
		}
	}
	if source[0] != target[0] {
		host := Map.Get(source[0]).(*HostSystem)
		moved := g.event()
		moved.Vm = event.Vm
		ctx.postEvent(&types.VmMigratedEvent{VmEvent: moved, SourceHost: *host.eventArgument()})
	}
	return answer
}

// placed returns the host, pool and first datastore of the guest.
func (g guest) placed() [3]types.ManagedObjectReference {
	var places [3]types.ManagedObjectReference
	places[0] = *g.Runtime.Host
	if g.ResourcePool != nil {
		places[1] = *g.ResourcePool
	}
	if len(g.Datastore) > 0 {
		places[2] = g.Datastore[0]
	}
	return places
}

func guestsOf(ref types.ManagedObjectReference) *[]types.ManagedObjectReference {
	switch o := Map.Get(ref).(type) {
	case *HostSystem:
		return &o.Vm
	case *ResourcePool:
		return &o.Vm
	case *VirtualApp:
		return &o.Vm
	case *Datastore:
		return &o.Vm
	}
	return nil
}

func (g guest) MigrateVMTask(ctx *Context, r *types.MigrateVM_Task) soap.HasFault {
	answer := g.RelocateVMTask(ctx, &types.RelocateVM_Task{
		This: r.This, Spec: types.VirtualMachineRelocateSpec{Host: r.Host, Pool: r.Pool},
	}).(*methods.RelocateVM_TaskBody)
	return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: answer.Res.Returnval}}
}

// CloneVMTask clones copies of the devices, with addresses of their own: the library hands out the source's.
func (g guest) CloneVMTask(ctx *Context, r *types.CloneVM_Task) soap.HasFault {
	devices := g.Config.Hardware.Device
	copied := new(types.VirtualHardware)
	deepCopy(g.Config.Hardware, copied)
	for _, device := range copied.Device {
		if nic, ok := device.(types.BaseVirtualEthernetCard); ok {
			nic.GetVirtualEthernetCard().MacAddress = ""
		}
	}
	g.Config.Hardware.Device = copied.Device
	defer func() { g.Config.Hardware.Device = devices }()
	return g.VirtualMachine.CloneVMTask(ctx, r)
}

func (g guest) UnregisterVM(ctx *Context, r *types.UnregisterVM) soap.HasFault {
	answer := g.VirtualMachine.UnregisterVM(ctx, r)
	if answer.Fault() == nil {
		vmxMutex.Lock()
		kept := g.VirtualMachine.VirtualMachine
		vmxFiles[g.Config.Files.VmPathName] = &kept
		vmxMutex.Unlock()
	}
	return answer
}

func (f folder) RegisterVMTask(ctx *Context, r *types.RegisterVM_Task) soap.HasFault {
	vmxMutex.Lock()
	kept := vmxFiles[r.Path]
	vmxMutex.Unlock()
	if kept != nil && r.Name != "" {
		provideNVRAM(kept, r.Name)
	}
	answer := f.Folder.RegisterVMTask(ctx, r)
	task := Map.Get(answer.(*methods.RegisterVM_TaskBody).Res.Returnval).(*Task)
	ref, ok := task.Info.Result.(types.ManagedObjectReference)
	if !ok || kept == nil {
		return answer
	}
	vmxMutex.Lock()
	delete(vmxFiles, r.Path)
	vmxMutex.Unlock()
	vm := Map.Get(ref).(*VirtualMachine)
	vm.Config, vm.Guest, vm.Layout, vm.LayoutEx = kept.Config, kept.Guest, kept.Layout, kept.LayoutEx
	vm.Storage, vm.Network, vm.Snapshot = kept.Storage, kept.Network, nil
	runtime := vm.Summary.Runtime
	vm.Summary = kept.Summary
	vm.Summary.Vm, vm.Summary.Runtime = &vm.Self, runtime
	vm.Config.Name, vm.Summary.Config.Name = vm.Name, vm.Name
	ctx.postEvent(&types.VmRegisteredEvent{VmEvent: vm.event()})
	return answer
}

// provideNVRAM makes the file that the library wants beside the .vmx file, under the name that the guest will have.
func provideNVRAM(kept *mo.VirtualMachine, name string) {
	var file object.DatastorePath
	store, ok := Map.Get(kept.Datastore[0]).(*Datastore)
	if !ok || !file.FromString(kept.Config.Files.VmPathName) {
		return
	}
	folder := path.Join(store.Info.GetDatastoreInfo().Url, path.Dir(file.Path))
	if err := os.WriteFile(path.Join(folder, name+".nvram"), nil, 0o600); err != nil {
		log.Print(err)
	}
}

// RevertToSnapshotTask gives the guest back the power state that it had.
func (s snapshot) RevertToSnapshotTask(r *types.RevertToSnapshot_Task) soap.HasFault {
	answer := s.VirtualMachineSnapshot.RevertToSnapshotTask(r)
	vm := Map.Get(s.Vm).(*VirtualMachine)
	Map.WithLock(vm, func() {
		if vm.Snapshot == nil {
			return
		}
		if item := findSnapshotInTree(vm.Snapshot.RootSnapshotList, s.Self); item != nil {
			vm.Runtime.PowerState = item.State
			guest{vm}.settled(nil)
		}
	})
	return answer
}
