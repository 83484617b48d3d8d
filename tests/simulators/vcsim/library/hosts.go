package simulator

import (
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// host leaves events, can be disconnected, and enters maintenance mode only when no guest runs on it.
// Vendor: vim.HostSystem (EnterMaintenanceMode_Task, DisconnectHost_Task, ReconnectHost_Task).
type host struct{ *HostSystem }

func init() { addTo(&HostSystem{}, func(o mo.Reference) interface{} { return host{o.(*HostSystem)} }) }

// EnterMaintenanceModeTask moves running guests to the other hosts of the cluster, as automatic DRS does; a host without
// such others waits for ever on a real vCenter until the timeout, and fails at once here.
func (h host) EnterMaintenanceModeTask(ctx *Context, r *types.EnterMaintenanceMode_Task) soap.HasFault {
	ctx.postEvent(&types.EnteringMaintenanceModeEvent{HostEvent: h.event()})
	task := CreateTask(h.HostSystem, "enterMaintenanceMode", func(*Task) (types.AnyType, types.BaseMethodFault) {
		if !h.evacuated(ctx) {
			return nil, new(types.Timedout)
		}
		h.Runtime.InMaintenanceMode, h.Summary.Runtime.InMaintenanceMode = true, true
		ctx.postEvent(&types.EnteredMaintenanceModeEvent{HostEvent: h.event()})
		return nil, nil
	})
	return &methods.EnterMaintenanceMode_TaskBody{
		Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task.Run()},
	}
}

func (h host) evacuated(ctx *Context) bool {
	var others []types.ManagedObjectReference
	for _, ref := range hostParent(&h.HostSystem.HostSystem).Host {
		other := Map.Get(ref).(*HostSystem)
		if ref != h.Self && !other.Runtime.InMaintenanceMode {
			others = append(others, ref)
		}
	}
	for i, ref := range append([]types.ManagedObjectReference(nil), h.Vm...) {
		vm := Map.Get(ref).(*VirtualMachine)
		if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			continue
		}
		if len(others) == 0 {
			return false
		}
		inside := *ctx
		inside.Caller = &h.HostSystem.Self // whose lock is held
		RemoveReference(&h.Vm, ref)
		target := Map.Get(others[i%len(others)]).(*HostSystem)
		Map.WithLock(vm, func() {
			vm.Runtime.Host = &target.Self
			vm.Summary.Runtime.Host = &target.Self
		})
		Map.AddReference(target, &target.Vm, ref)
		inside.postEvent(&types.DrsVmMigratedEvent{VmMigratedEvent: types.VmMigratedEvent{
			VmEvent: vm.event(), SourceHost: *h.eventArgument(),
		}})
	}
	return true
}

func (h host) ExitMaintenanceModeTask(ctx *Context, r *types.ExitMaintenanceMode_Task) soap.HasFault {
	answer := h.HostSystem.ExitMaintenanceModeTask(r)
	h.Summary.Runtime.InMaintenanceMode = h.Runtime.InMaintenanceMode
	ctx.postEvent(&types.ExitMaintenanceModeEvent{HostEvent: h.event()})
	return answer
}

func (h host) DisconnectHostTask(ctx *Context, _ *types.DisconnectHost_Task) soap.HasFault {
	task := CreateTask(h.HostSystem, "disconnect", func(*Task) (types.AnyType, types.BaseMethodFault) {
		h.connect(types.HostSystemConnectionStateDisconnected, types.VirtualMachineConnectionStateDisconnected)
		ctx.postEvent(&types.HostDisconnectedEvent{HostEvent: h.event()})
		return nil, nil
	})
	return &methods.DisconnectHost_TaskBody{Res: &types.DisconnectHost_TaskResponse{Returnval: task.Run()}}
}

func (h host) ReconnectHostTask(ctx *Context, _ *types.ReconnectHost_Task) soap.HasFault {
	task := CreateTask(h.HostSystem, "reconnect", func(*Task) (types.AnyType, types.BaseMethodFault) {
		h.connect(types.HostSystemConnectionStateConnected, types.VirtualMachineConnectionStateConnected)
		ctx.postEvent(&types.HostConnectedEvent{HostEvent: h.event()})
		return nil, nil
	})
	return &methods.ReconnectHost_TaskBody{Res: &types.ReconnectHost_TaskResponse{Returnval: task.Run()}}
}

func (h host) connect(state types.HostSystemConnectionState, guestState types.VirtualMachineConnectionState) {
	h.Runtime.ConnectionState, h.Summary.Runtime.ConnectionState = state, state
	for _, ref := range h.Vm {
		vm := Map.Get(ref).(*VirtualMachine)
		Map.WithLock(vm, func() {
			vm.Runtime.ConnectionState, vm.Summary.Runtime.ConnectionState = guestState, guestState
		})
	}
}
