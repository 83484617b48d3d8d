package simulator

import (
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Knobs make a bad server. Methods are named as on the wire ("QueryPerf", "*" for all); objects as "VirtualMachine" (all)
// or "VirtualMachine:vm-12"; counters as "cpu.usage.average". A knob that is not set does nothing.
type Knobs struct {
	DelaySeconds map[string]float64 `json:"delay_seconds"` // method: how long before it is answered
	Fault        map[string]string  `json:"fault"`         // method: SOAP fault ("NotAuthenticated")
	Status       map[string]int     `json:"status"`        // method: HTTP status instead of an answer
	CutBytes     map[string]int     `json:"cut_bytes"`     // method: the connection ends after so much of the body
	Times        map[string]int     `json:"times"`         // method: how often the four above still apply; always if absent
	Without      []string           `json:"without"`       // privileges that the user lacks

	TaskFault   map[string]string  `json:"task_fault"`   // method: the task starts, and ends with this fault
	TaskSeconds map[string]float64 `json:"task_seconds"` // method: the task is shown as running for so long

	Hide map[string][]string `json:"hide"` // object: properties that are missing without a word, with what is below
	Deny map[string][]string `json:"deny"` // object: properties that are missing for lack of System.Read

	PageObjects     int                `json:"page_objects"`      // most objects in one answer, whatever the client asks for
	NaN             []string           `json:"nan"`               // counters whose values are "NaN"
	Negative        []string           `json:"negative"`          // counters whose values are -1
	NoSamples       []string           `json:"no_samples"`        // objects without any sample
	LateSeconds     map[string]float64 `json:"late_seconds"`      // object type: how old its newest sample is
	MaxQueryMetrics int                `json:"max_query_metrics"` // of historical statistics in one call; 0: 256, -1: unlimited
	ClockSeconds    float64            `json:"clock_seconds"`     // how far the server's clock is ahead
}

var knobMutex sync.Mutex
var knobSet = new(Knobs)

// knobs returns what is set now; it is replaced as a whole, never changed, but for Times.
func knobs() *Knobs {
	knobMutex.Lock()
	defer knobMutex.Unlock()
	return knobSet
}

func setKnobs(set *Knobs) {
	limit := set.MaxQueryMetrics
	if limit == 0 {
		limit = usualMaxQueryMetrics
	}
	Map.OptionManager().find(maxQueryMetricsKey).Value = strconv.Itoa(limit)
	knobMutex.Lock()
	knobSet = set
	knobMutex.Unlock()
	changed() // hidden properties are a change as well
}

// strike tells whether a knob of the kind spoil applies to this call.
func strike(spoils bool, method string) bool {
	if !spoils {
		return false
	}
	knobMutex.Lock()
	defer knobMutex.Unlock()
	left, limited := knobSet.Times[method]
	if limited && left > 0 {
		knobSet.Times[method] = left - 1
	}
	return !limited || left > 0
}

// spoiled returns the fault that a knob or a lack of privileges gives to a call, or nil.
func spoiled(ctx *Context, method *Method) soap.HasFault {
	set := knobs()
	name, named := set.Fault[method.Name]
	if !named {
		name, named = set.Fault["*"]
	}
	if strike(named, method.Name) {
		return failed(Fault("", faultOf(name, method)))
	}
	if !granted(privilegeOf(method)) {
		return failed(Fault("Permission to perform this operation was denied.", faultOf("NoPermission", method)))
	}
	return nil
}

// faultOf makes a fault from the name of its type, with what the vendor's types want filled in.
func faultOf(name string, method *Method) types.BaseMethodFault {
	kind, ok := defaultMapType(name)
	if !ok {
		return &types.SystemError{Reason: "the knobs name an unknown fault: " + name}
	}
	fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault)
	if !ok {
		return &types.SystemError{Reason: "the knobs name what is no fault: " + name}
	}
	switch f := fault.(type) {
	case *types.NoPermission:
		f.Object, f.PrivilegeId = method.This, privilegeOf(method)
	case *types.NotAuthenticated:
		f.Object, f.PrivilegeId = method.This, "System.View"
	}
	return fault
}

// named tells whether a list that a knob keeps per object has the object or its type.
func named(list map[string][]string, ref types.ManagedObjectReference) []string {
	return append(append([]string(nil), list[ref.Type]...), list[ref.Type+":"+ref.Value]...)
}

func below(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if path == prefix || strings.HasPrefix(path, prefix+".") {
			return true
		}
	}
	return false
}

// shaped takes away from what was read what the knobs hide or deny, and shows slow tasks as still running.
func shaped(object *types.ObjectContent) {
	if object.Obj.Type == "Task" {
		showRunning(object)
	}
	set := knobs()
	hide, deny := named(set.Hide, object.Obj), named(set.Deny, object.Obj)
	kept := object.PropSet[:0]
	for _, property := range object.PropSet {
		switch {
		case property.Val == nil || below(property.Name, hide):
		case below(property.Name, deny):
			object.MissingSet = append(object.MissingSet, types.MissingProperty{
				Path: property.Name,
				Fault: types.LocalizedMethodFault{Fault: &types.NoPermission{
					Object: object.Obj, PrivilegeId: "System.Read",
				}},
			})
		default:
			kept = append(kept, property)
		}
	}
	object.PropSet = kept
}
