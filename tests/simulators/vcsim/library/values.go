package simulator

import (
	"math"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// valuesOf returns what a series is worth at any instant: always the same, so that a value asked for twice is equal, and
// within the bounds that its unit and its object have.
func valuesOf(ref types.ManagedObjectReference, id types.PerfMetricId) func(time.Time) int64 {
	info := counters[id.CounterId]
	name := counterName(&info)
	if name == "sys.uptime.latest" || name == "sys.osUptime.latest" {
		began := bootTime(ref)
		return func(t time.Time) int64 { return int64(math.Max(0, t.Sub(began).Seconds())) }
	}
	seed := mixString(mixString(mixString(uint64(id.CounterId)+1, ref.Type), ref.Value), id.Instance)
	low, high := bounds(ref, &info, name)
	return func(t time.Time) int64 { return low + int64(float64(high-low)*wave(seed, t)) }
}

// wave moves between 0 and 1: over an hour, with some noise at each step.
func wave(seed uint64, t time.Time) float64 {
	phase := float64(seed%3600) / 3600
	base := 0.15 + 0.4*float64(seed>>12%1000)/1000
	noise := float64(mix(seed, uint64(t.Unix()))%1000) / 1000
	return math.Min(1, math.Max(0, base+0.2*math.Sin(2*math.Pi*(float64(t.Unix()%3600)/3600+phase))+0.1*noise))
}

func bounds(ref types.ManagedObjectReference, info *types.PerfCounterInfo, name string) (int64, int64) {
	cpus, mhz, memory := size(ref)
	switch info.UnitInfo.GetElementDescription().Key {
	case "percent":
		return 0, 10000
	case "megaHertz":
		return 0, cpus * mhz
	case "kiloBytes":
		if name == "mem.vmmemctl.average" || name == "mem.swapped.average" || name == "mem.compressed.average" {
			return 0, memory / 64
		}
		return memory / 16, memory
	case "kiloBytesPerSecond":
		return 0, 50000
	case "millisecond":
		if info.RollupType == types.PerfSummaryTypeSummation {
			return 0, realtime * 1000 / 10 * cpus
		}
		return 0, 30
	case "watt":
		return 5 * cpus, 25 * cpus
	}
	return 0, 1000
}

// size returns the processors, their speed in MHz and the memory in KiB of a guest or host, else those of a middling host.
func size(ref types.ManagedObjectReference) (int64, int64, int64) {
	switch o := Map.Get(ref).(type) {
	case *VirtualMachine:
		if o.Config != nil {
			return int64(o.Config.Hardware.NumCPU), 2300, int64(o.Config.Hardware.MemoryMB) << 10
		}
	case *HostSystem:
		hardware := o.Summary.Hardware
		return int64(hardware.NumCpuCores), int64(hardware.CpuMhz), hardware.MemorySize >> 10
	}
	return 16, 2300, 64 << 20
}

var epoch = time.Now().Add(-1000 * time.Hour).Truncate(time.Second)

func bootTime(ref types.ManagedObjectReference) time.Time {
	switch o := Map.Get(ref).(type) {
	case *VirtualMachine:
		if o.Runtime.BootTime != nil {
			return *o.Runtime.BootTime
		}
	case *HostSystem:
		if o.Runtime.BootTime != nil {
			return *o.Runtime.BootTime
		}
	}
	return epoch
}

func at(ref types.ManagedObjectReference, counter string, t time.Time) int64 {
	return valuesOf(ref, types.PerfMetricId{CounterId: counterByName[counter]})(t)
}

var counterByName map[string]int32
var quickStatsAt int64 // the third of a minute whose values the quick statistics have

// refreshQuickStats gives guests and hosts the quick statistics that agree with QueryPerf; the library's are empty or
// always the same. What a test set by hand stays (pinned).
func refreshQuickStats() {
	moment := now().Truncate(realtime * time.Second)
	guests.Lock()
	defer guests.Unlock()
	if quickStatsAt == moment.Unix() {
		return
	}
	quickStatsAt = moment.Unix()
	for _, entity := range Map.All("VirtualMachine") {
		vm := entity.(*VirtualMachine)
		if !pinned[vm.Self] {
			Map.WithLock(vm, func() { vm.Summary.QuickStats = quickStats(vm, moment) })
		}
	}
	for _, entity := range Map.All("HostSystem") {
		host := entity.(*HostSystem)
		if pinned[host.Self] {
			continue
		}
		Map.WithLock(host, func() {
			stats := &host.Summary.QuickStats
			stats.OverallCpuUsage = int32(at(host.Self, "cpu.usagemhz.average", moment))
			stats.OverallMemoryUsage = int32(at(host.Self, "mem.consumed.average", moment) >> 10)
			stats.Uptime = int32(moment.Sub(bootTime(host.Self)).Seconds())
		})
	}
}

func quickStats(vm *VirtualMachine, moment time.Time) types.VirtualMachineQuickStats {
	if !sampled(vm.Self) {
		return types.VirtualMachineQuickStats{GuestHeartbeatStatus: types.ManagedEntityStatusGray}
	}
	return types.VirtualMachineQuickStats{
		OverallCpuUsage:      int32(at(vm.Self, "cpu.usagemhz.average", moment)),
		GuestMemoryUsage:     int32(at(vm.Self, "mem.active.average", moment) >> 10),
		HostMemoryUsage:      int32(at(vm.Self, "mem.consumed.average", moment) >> 10),
		BalloonedMemory:      int32(at(vm.Self, "mem.vmmemctl.average", moment) >> 10),
		CompressedMemory:     at(vm.Self, "mem.compressed.average", moment),
		UptimeSeconds:        int32(moment.Sub(bootTime(vm.Self)).Seconds()),
		GuestHeartbeatStatus: types.ManagedEntityStatusGreen,
	}
}
