package simulator

import (
	"fmt"
	"path"
	"sort"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// furnish gives what the library made what real guests, datastores and clusters have: UUIDs that no other simulator has,
// addresses, sizes, VMware Tools, vSAN.
func furnish(o *Options) {
	server := Map.Get(vim25.ServiceInstance).(*ServiceInstance)
	about := &server.Content.About
	about.InstanceUuid = o.UUID
	if o.Version != "" {
		about.Version, about.ApiVersion = o.Version, o.Version
		about.FullName = fmt.Sprintf("%s %s build-%s", about.Name, o.Version, about.Build)
	}
	for i, entity := range sorted("VirtualMachine") {
		furnishGuest(o, Map.Get(entity).(*VirtualMachine), i)
	}
	for _, ref := range sorted("Datastore") {
		store := Map.Get(ref).(*Datastore)
		// The path stays in info.url, where the library wants a folder of this machine.
		store.Summary.Url = "ds:///vmfs/volumes/" + newUUID(o.UUID+store.Self.Value) + "/"
		store.Summary.Type, store.Summary.Capacity, store.Summary.FreeSpace = "VMFS", 100<<40, 37<<40
	}
	for _, ref := range sorted("HostSystem") {
		host := Map.Get(ref).(*HostSystem)
		host.Summary.Host = &host.Self
		id := newUUID(o.UUID + host.Name)
		host.Hardware.SystemInfo.Uuid, host.Summary.Hardware.Uuid = id, id
		boot := epoch
		host.Runtime.BootTime = &boot
		host.Summary.Runtime = &host.Runtime
	}
	if o.VSAN {
		for _, ref := range sorted("ClusterComputeResource") {
			enableVSAN(o, Map.Get(ref).(*ClusterComputeResource))
		}
	}
	makeAlarms()
	for _, ref := range sorted("Task") {
		Map.Remove(ref) // vCenter forgets tasks too
	}
	Map.Get(*Map.content().TaskManager).(*TaskManager).RecentTask = nil
}

func furnishGuest(o *Options, vm *VirtualMachine, number int) {
	file := vm.Config.Files.VmPathName
	vm.Config.InstanceUuid, vm.Config.Uuid = newUUID(o.UUID+"instance"+file), newUUID(o.UUID+"bios"+file)
	vm.Summary.Config.InstanceUuid, vm.Summary.Config.Uuid = vm.Config.InstanceUuid, vm.Config.Uuid
	vm.uid = uuid.MustParse(vm.Config.Uuid)
	cpus, memory := int32(1<<(number%4)), int32(2048<<(number%4))
	vm.Config.Hardware.NumCPU, vm.Config.Hardware.MemoryMB = cpus, memory
	vm.Summary.Config.NumCpu, vm.Summary.Config.MemorySizeMB = cpus, memory
	vm.Config.GuestFullName, vm.Summary.Config.GuestFullName = "Debian GNU/Linux 12 (64-bit)", "Debian GNU/Linux 12 (64-bit)"
	// Of the 22 bits that a vCenter chooses, 8 are the server's and 14 the guest's.
	bits := (o.Number&255)<<14 | number&16383
	mac := fmt.Sprintf("00:50:56:%02x:%02x:%02x", 128|bits>>16, bits>>8&255, bits&255)
	address := fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255)
	for _, device := range vm.Config.Hardware.Device {
		if nic, ok := device.(types.BaseVirtualEthernetCard); ok {
			nic.GetVirtualEthernetCard().MacAddress = mac
		}
	}
	vm.Guest.ToolsStatus, vm.Guest.ToolsVersion = types.VirtualMachineToolsStatusToolsOk, "12352"
	vm.Guest.ToolsVersionStatus2 = string(types.VirtualMachineToolsVersionStatusGuestToolsCurrent)
	vm.Guest.HostName, vm.Guest.IpAddress = path.Base(path.Dir(file)), address
	vm.Guest.GuestFullName, vm.Guest.GuestId = vm.Config.GuestFullName, "debian12_64Guest"
	vm.Guest.Net = []types.GuestNicInfo{{
		Network: "VM Network", IpAddress: []string{address}, MacAddress: mac, Connected: true, DeviceConfigId: 4000,
	}}
	vm.Guest.Disk = []types.GuestDiskInfo{{DiskPath: "/", Capacity: 40 << 30, FreeSpace: int64(number%30+1) << 30}}
	vm.Summary.Guest.IpAddress, vm.Summary.Guest.HostName = vm.Guest.IpAddress, vm.Guest.HostName
	guest{vm}.settled(nil)
	if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		boot := epoch.Add(seconds(float64(number % 86400)))
		vm.Runtime.BootTime, vm.Summary.Runtime.BootTime = &boot, &boot
	}
}

func enableVSAN(o *Options, cluster *ClusterComputeResource) {
	config := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
	config.VsanConfigInfo = &types.VsanClusterConfigInfo{
		Enabled:       types.NewBool(true),
		DefaultConfig: &types.VsanClusterConfigInfoHostDefaultInfo{Uuid: newUUID(o.UUID + cluster.Self.Value)},
	}
}

// sorted returns the objects of a kind by the numbers in their references, in the order in which they were made.
func sorted(kind string) []types.ManagedObjectReference {
	var refs []types.ManagedObjectReference
	Map.m.Lock()
	for ref := range Map.objects {
		if ref.Type == kind {
			refs = append(refs, ref)
		}
	}
	Map.m.Unlock()
	sort.Slice(refs, func(i, j int) bool {
		if len(refs[i].Value) != len(refs[j].Value) {
			return len(refs[i].Value) < len(refs[j].Value)
		}
		return refs[i].Value < refs[j].Value
	})
	return refs
}
