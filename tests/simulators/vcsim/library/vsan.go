package simulator

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	vsan "github.com/vmware/govmomi/vsan/types"
)

// The vSAN service of a vCenter (/vsanHealth): health, space, resync and performance of clusters.
// Written from the vendor's vSAN Management API reference; govmomi has the types and no simulator.
// Vendor: VsanVcClusterHealthSystem, VsanSpaceReportSystem, VsanObjectSystem, VsanPerformanceManager.

// vsanState is what a test may say of all clusters.
type vsanState struct {
	Health       string  `json:"health"`        // "green", "yellow", "red"
	ResyncBytes  int64   `json:"resync_bytes"`  // what is left to synchronise
	ResyncCount  int64   `json:"resync_count"`  // objects
	UsedFraction float64 `json:"used_fraction"` // of the capacity
	NaN          bool    `json:"nan"`           // performance values are "None", as after a gap
}

var vsanMutex sync.Mutex
var vsanNow = vsanState{Health: "green", UsedFraction: 0.4}

const vsanCapacity = 100 << 40

func setVSAN(state *vsanState) {
	vsanMutex.Lock()
	defer vsanMutex.Unlock()
	vsanNow = *state
}

func vsanIs() vsanState {
	vsanMutex.Lock()
	defer vsanMutex.Unlock()
	return vsanNow
}

// vsanObject is any managed object of the service.
type vsanObject struct{ mo.PropertyCollector }

type vsanHealth struct{ vsanObject }
type vsanSpace struct{ vsanObject }
type vsanObjects struct{ vsanObject }
type vsanPerf struct{ vsanObject }

func registerVSAN(s *Service) {
	r := NewRegistry()
	r.Namespace, r.Path = "vsan", "/vsanHealth"
	service := func(object mo.Reference, kind, value string) {
		reflect.ValueOf(object).Elem().FieldByName("Self").Set(
			reflect.ValueOf(types.ManagedObjectReference{Type: kind, Value: value}))
		r.Put(object)
	}
	service(&vsanHealth{}, "VsanVcClusterHealthSystem", "vsan-cluster-health-system")
	service(&vsanSpace{}, "VsanSpaceReportSystem", "vsan-cluster-space-report-system")
	service(&vsanObjects{}, "VsanObjectSystem", "vsan-cluster-object-system")
	service(&vsanPerf{}, "VsanPerformanceManager", "vsan-performance-manager")
	s.RegisterSDK(r)
}

// vsanCluster returns the fault for what is no cluster with vSAN.
func vsanCluster(ref *types.ManagedObjectReference) *soap.Fault {
	if ref == nil {
		return Fault("", &types.InvalidArgument{InvalidProperty: "cluster"})
	}
	cluster, ok := Map.Get(*ref).(*ClusterComputeResource)
	if !ok {
		return Fault("", &types.ManagedObjectNotFound{Obj: *ref})
	}
	config, ok := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
	if !ok || config.VsanConfigInfo == nil || !isTrue(config.VsanConfigInfo.Enabled) {
		return Fault("", new(types.NotSupported))
	}
	return nil
}

type vsanBody[R any] struct {
	Res    *R
	Fault_ *soap.Fault
}

func (b *vsanBody[R]) Fault() *soap.Fault { return b.Fault_ }

func (vsanHealth) VsanQueryVcClusterHealthSummary(_ *Context, r *vsan.VsanQueryVcClusterHealthSummary) soap.HasFault {
	if fault := vsanCluster(r.Cluster); fault != nil {
		return failed(fault)
	}
	state, moment := vsanIs(), now()
	return &vsanBody[vsan.VsanQueryVcClusterHealthSummaryResponse]{Res: &vsan.VsanQueryVcClusterHealthSummaryResponse{
		Returnval: vsan.VsanClusterHealthSummary{
			Timestamp: &moment, OverallHealth: state.Health, OverallHealthDescription: "simulated",
			Groups: []vsan.VsanClusterHealthGroup{{
				GroupId: "com.vmware.vsan.health.test.data", GroupName: "Data", GroupHealth: state.Health,
				GroupTests: []vsan.VsanClusterHealthTest{{
					TestId: "com.vmware.vsan.health.test.objecthealth", TestName: "vSAN object health", TestHealth: state.Health,
				}},
			}},
		},
	}}
}

func (vsanSpace) VsanQuerySpaceUsage(_ *Context, r *vsan.VsanQuerySpaceUsage) soap.HasFault {
	if fault := vsanCluster(&r.Cluster); fault != nil {
		return failed(fault)
	}
	free := int64(vsanCapacity * (1 - vsanIs().UsedFraction))
	return &vsanBody[vsan.VsanQuerySpaceUsageResponse]{Res: &vsan.VsanQuerySpaceUsageResponse{
		Returnval: vsan.VsanSpaceUsage{TotalCapacityB: vsanCapacity, FreeCapacityB: free},
	}}
}

func (vsanObjects) QuerySyncingVsanObjectsSummary(_ *Context, r *vsan.QuerySyncingVsanObjectsSummary) soap.HasFault {
	if fault := vsanCluster(&r.Cluster); fault != nil {
		return failed(fault)
	}
	state := vsanIs()
	return &vsanBody[vsan.QuerySyncingVsanObjectsSummaryResponse]{Res: &vsan.QuerySyncingVsanObjectsSummaryResponse{
		Returnval: vsan.VsanHostVsanObjectSyncQueryResult{
			TotalObjectsToSync: state.ResyncCount, TotalBytesToSync: state.ResyncBytes, TotalRecoveryETA: state.ResyncBytes >> 20,
		},
	}}
}

// What the performance service has of a cluster, with the top of each value's range.
var vsanLabels = map[string][]struct {
	label string
	top   int64
}{
	"cluster-domclient": {
		{"iopsRead", 50000}, {"iopsWrite", 20000}, {"throughputRead", 2 << 30}, {"throughputWrite", 1 << 30},
		{"latencyAvgRead", 3000}, {"latencyAvgWrite", 6000}, {"congestion", 10}, {"oio", 200},
	},
}

const vsanStep = 300

func (vsanPerf) VsanPerfGetSupportedEntityTypes(_ *Context, _ *vsan.VsanPerfGetSupportedEntityTypes) soap.HasFault {
	answer := new(vsan.VsanPerfGetSupportedEntityTypesResponse)
	for name, labels := range vsanLabels {
		entity := vsan.VsanPerfEntityType{Name: name, Id: name}
		graph := vsan.VsanPerfGraph{Id: name, Unit: "number"}
		for _, about := range labels {
			graph.Metrics = append(graph.Metrics, vsan.VsanPerfMetricId{Label: about.label})
		}
		entity.Graphs = append(entity.Graphs, graph)
		answer.Returnval = append(answer.Returnval, entity)
	}
	return &vsanBody[vsan.VsanPerfGetSupportedEntityTypesResponse]{Res: answer}
}

func (vsanPerf) VsanPerfQueryPerf(_ *Context, r *vsan.VsanPerfQueryPerf) soap.HasFault {
	if fault := vsanCluster(r.Cluster); fault != nil {
		return failed(fault)
	}
	answer := new(vsan.VsanPerfQueryPerfResponse)
	for i := range r.QuerySpecs {
		spec := &r.QuerySpecs[i]
		kind := strings.SplitN(spec.EntityRefId, ":", 2)[0]
		labels, ok := vsanLabels[kind]
		if !ok {
			return failed(Fault("", &types.InvalidArgument{InvalidProperty: "querySpecs"}))
		}
		times := vsanTimes(spec)
		entity := vsan.VsanPerfEntityMetricCSV{EntityRefId: kind + ":" + newUUID(r.Cluster.Value)}
		texts := make([]string, len(times))
		for j, t := range times {
			texts[j] = t.Format("2006-01-02 15:04:05") // no zone: it is UTC
		}
		entity.SampleInfo = strings.Join(texts, ",")
		for _, about := range labels {
			entity.Value = append(entity.Value, vsan.VsanPerfMetricSeriesCSV{
				MetricId: vsan.VsanPerfMetricId{Label: about.label, MetricsCollectInterval: vsanStep},
				Values:   vsanValues(mixString(mixString(1, about.label), r.Cluster.Value), about.top, times),
			})
		}
		answer.Returnval = append(answer.Returnval, entity)
	}
	return &vsanBody[vsan.VsanPerfQueryPerfResponse]{Res: answer}
}

func vsanTimes(spec *vsan.VsanPerfQuerySpec) []time.Time {
	end := now()
	if spec.EndTime != nil && spec.EndTime.Before(end) {
		end = *spec.EndTime
	}
	begin := end.Add(-time.Hour)
	if spec.StartTime != nil {
		begin = *spec.StartTime
	}
	var times []time.Time
	for t := begin.Unix()/vsanStep*vsanStep + vsanStep; t <= end.Unix(); t += vsanStep {
		times = append(times, time.Unix(t, 0).UTC())
	}
	return times
}

func vsanValues(seed uint64, top int64, times []time.Time) string {
	texts := make([]string, len(times))
	for i, t := range times {
		texts[i] = strconv.FormatInt(int64(float64(top)*wave(seed, t)), 10)
		if vsanIs().NaN {
			texts[i] = "None"
		}
	}
	return strings.Join(texts, ",")
}
