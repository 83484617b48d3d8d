package simulator

import (
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// perfManager answers QueryPerf as the vendor's reference says: samples on whole intervals, oldest first, the same at each
// asking; real-time for an hour, historical for a day and more, and no more metrics at once than the administrator allows.
// The library's values are new at each asking, newest first, and it knows no historical interval.
// Vendor: vim.PerformanceManager (QueryPerf, PerfQuerySpec, historicalInterval).
type perfManager struct {
	PerformanceManager
}

func init() { kinds["PerformanceManager"] = reflect.TypeOf(perfManager{}) }

const realtime = 20

// A vCenter's setting since 6.5, which an administrator may change.
const maxQueryMetricsKey, usualMaxQueryMetrics = "config.vpxd.stats.maxQueryMetrics", 256

// The intervals of a vCenter as it is installed. ESXi keeps the first only.
var intervals = []types.PerfInterval{
	{Key: 1, SamplingPeriod: 300, Name: "Past day", Length: 86400, Level: 1, Enabled: true},
	{Key: 2, SamplingPeriod: 1800, Name: "Past week", Length: 604800, Level: 1, Enabled: true},
	{Key: 3, SamplingPeriod: 7200, Name: "Past month", Length: 2592000, Level: 1, Enabled: true},
	{Key: 4, SamplingPeriod: 86400, Name: "Past year", Length: 31536000, Level: 1, Enabled: true},
}

// What the library's lists of available metrics lack, by type; "@" is before the instance of a series that is of a device.
var alsoAvailable = map[string][]string{
	"VirtualMachine": {
		"cpu.costop.summation", "cpu.ready.summation", "mem.compressed.average", "mem.granted.average",
		"mem.swapped.average", "mem.vmmemctl.average", "sys.uptime.latest", "power.power.average",
		"disk.maxTotalLatency.latest", "virtualDisk.totalReadLatency.average", "virtualDisk.totalWriteLatency.average",
		"virtualDisk.read.average@scsi0:0", "virtualDisk.write.average@scsi0:0",
		"virtualDisk.numberReadAveraged.average@scsi0:0", "virtualDisk.numberWriteAveraged.average@scsi0:0",
		"virtualDisk.totalReadLatency.average@scsi0:0", "virtualDisk.totalWriteLatency.average@scsi0:0",
	},
	"HostSystem": {"power.power.average", "sys.uptime.latest"},
}

func (p *perfManager) init(r *Registry) {
	p.PerformanceManager.init(r)
	p.HistoricalInterval = intervals
	if r.IsESX() {
		p.HistoricalInterval = intervals[:1]
	}
	for kind, list := range map[string]*[]types.PerfMetricId{"VirtualMachine": &p.vmMetrics, "HostSystem": &p.hostMetrics} {
		have := make(map[types.PerfMetricId]bool, len(*list))
		for _, id := range *list {
			have[id] = true
		}
		for _, entry := range alsoAvailable[kind] {
			name, instance, _ := strings.Cut(entry, "@")
			key, ok := counterKeys(p.PerfCounter)[name]
			id := types.PerfMetricId{CounterId: key, Instance: instance}
			if ok && !have[id] {
				*list = append((*list)[:len(*list):len(*list)], id)
			}
		}
	}
	counters = p.perfCounterIndex
}

// counters are those of the one PerformanceManager.
var counters map[int32]types.PerfCounterInfo

func counterName(c *types.PerfCounterInfo) string {
	return c.GroupInfo.GetElementDescription().Key + "." + c.NameInfo.GetElementDescription().Key + "." + string(c.RollupType)
}

func counterKeys(list []types.PerfCounterInfo) map[string]int32 {
	keys := make(map[string]int32, len(list))
	for i := range list {
		keys[counterName(&list[i])] = list[i].Key
	}
	return keys
}

func (p *perfManager) QueryPerf(_ *Context, r *types.QueryPerf) soap.HasFault {
	answer := new(QueryPerfResponse)
	historical := 0
	for i := range r.QuerySpec {
		spec := &r.QuerySpec[i]
		query, fault := p.resolve(spec)
		if fault != nil {
			return &queryPerfBody{Fault_: fault}
		}
		if query.interval != realtime {
			if historical += len(query.metrics); beyond(historical) {
				// The message and its detail are what a vCenter says.
				return &queryPerfBody{Fault_: Fault(
					"This operation is restricted by the administrator - 'vpxd.stats.maxQueryMetrics'. "+
						"Contact your system administrator.",
					&types.RestrictedByAdministrator{Details: "vpxd.stats.maxQueryMetrics"},
				)}
			}
		}
		answer.Inner = query.write(answer.Inner)
	}
	return &queryPerfBody{Res: answer}
}

func beyond(metrics int) bool {
	limit := knobs().MaxQueryMetrics
	if limit == 0 {
		limit = usualMaxQueryMetrics
	}
	return limit >= 0 && metrics > limit
}

// query is a PerfQuerySpec with everything resolved: which series, and of which instants.
type query struct {
	entity   types.ManagedObjectReference
	metrics  []types.PerfMetricId
	interval int32
	times    []time.Time
	csv      bool
}

func (p *perfManager) resolve(spec *types.PerfQuerySpec) (*query, *soap.Fault) {
	if Map.Get(spec.Entity) == nil {
		return nil, Fault("", &types.ManagedObjectNotFound{Obj: spec.Entity})
	}
	q := &query{entity: spec.Entity, interval: spec.IntervalId, csv: spec.Format == string(types.PerfFormatCsv)}
	live := map[string]bool{"VirtualMachine": true, "HostSystem": true, "ResourcePool": true}[spec.Entity.Type]
	if q.interval == 0 && live {
		q.interval = realtime
	} else if q.interval == 0 {
		q.interval = intervals[0].SamplingPeriod
	}
	keeps := p.keeps(q.interval)
	if keeps == 0 || q.interval == realtime && !live {
		return nil, Fault("A specified parameter was not correct: querySpec.interval",
			&types.InvalidArgument{InvalidProperty: "querySpec.interval"})
	}
	q.metrics = expand(spec.MetricId, p.queryAvailablePerfMetric(spec.Entity, q.interval).Returnval)
	for _, id := range q.metrics {
		if _, ok := counters[id.CounterId]; !ok {
			return nil, Fault("A specified parameter was not correct: querySpec.metricId",
				&types.InvalidArgument{InvalidProperty: "querySpec.metricId"})
		}
	}
	if sampled(spec.Entity) {
		q.times = instants(spec, q.interval, keeps)
	}
	return q, nil
}

// keeps returns for how many seconds the samples of an interval are there, or zero if there is no such interval.
func (p *perfManager) keeps(interval int32) int32 {
	if interval == realtime {
		return 3600
	}
	for _, known := range p.HistoricalInterval {
		if known.SamplingPeriod == interval {
			return known.Length
		}
	}
	return 0
}

// expand returns the series that were asked for: no metric means all, the instance "*" all instances.
func expand(asked, available []types.PerfMetricId) []types.PerfMetricId {
	if len(asked) == 0 {
		return available
	}
	series := make([]types.PerfMetricId, 0, len(asked))
	for _, id := range asked {
		if id.Instance != "*" {
			series = append(series, id)
			continue
		}
		for _, have := range available {
			if have.CounterId == id.CounterId {
				series = append(series, have)
			}
		}
	}
	return series
}

// sampled tells whether there are samples: hosts keep none of what is off or out of their reach.
func sampled(ref types.ManagedObjectReference) bool {
	if set := knobs().NoSamples; listed(set, ref.Type) || listed(set, ref.Type+":"+ref.Value) {
		return false
	}
	switch o := Map.Get(ref).(type) {
	case *VirtualMachine:
		return o.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn &&
			o.Runtime.ConnectionState == types.VirtualMachineConnectionStateConnected
	case *HostSystem:
		return o.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
	}
	return true
}

// instants are the ends of whole intervals, oldest first; the one at startTime is not among them, the one at endTime is.
func instants(spec *types.PerfQuerySpec, interval, keeps int32) []time.Time {
	step := int64(interval)
	newest := now().Unix() - int64(knobs().LateSeconds[spec.Entity.Type])
	if spec.EndTime != nil && spec.EndTime.Unix() < newest {
		newest = spec.EndTime.Unix()
	}
	newest -= newest % step
	oldest := now().Unix() - int64(keeps)
	if spec.StartTime != nil && spec.StartTime.Unix() > oldest {
		oldest = spec.StartTime.Unix()
	}
	oldest = oldest - oldest%step + step
	// maxSample is of real-time statistics only.
	if most := int64(spec.MaxSample); most > 0 && interval == realtime && oldest < newest-(most-1)*step {
		oldest = newest - (most-1)*step
	}
	var times []time.Time
	for t := oldest; t <= newest; t += step {
		times = append(times, time.Unix(t, 0).UTC())
	}
	return times
}

// QueryPerfCounter of the library panics before it answers.
func (p *perfManager) QueryPerfCounter(_ *Context, r *types.QueryPerfCounter) soap.HasFault {
	answer := new(types.QueryPerfCounterResponse)
	for _, id := range r.CounterId {
		info, ok := counters[id]
		if !ok {
			return failed(Fault("", &types.InvalidArgument{InvalidProperty: "counterId"}))
		}
		answer.Returnval = append(answer.Returnval, info)
	}
	return &methods.QueryPerfCounterBody{Res: answer}
}
