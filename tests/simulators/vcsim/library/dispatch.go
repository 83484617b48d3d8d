package simulator

import (
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
)

// additions name, for a type of the library, the type that adds methods to it or takes their place. The objects in the
// registry stay the library's own, which its code wants.
var additions = map[reflect.Type]func(mo.Reference) interface{}{}

func addTo(object mo.Reference, wrap func(mo.Reference) interface{}) {
	additions[reflect.TypeOf(object)] = wrap
}

// methodOf returns the method that answers a call: ours if there is one, else the library's.
func methodOf(handler mo.Reference, name string) reflect.Value {
	if wrap, ok := additions[reflect.TypeOf(handler)]; ok {
		return reflect.ValueOf(wrap(handler)).MethodByName(name)
	}
	return reflect.ValueOf(handler).MethodByName(name)
}

// changes counts what may have altered the inventory; who waits for updates looks again when it moved on.
var changes int64

// Calls that only read begin like this; every other call may have changed anything.
var reading = []string{
	"Acquire", "Cancel", "Check", "Continue", "CreateCollector", "CreateContainerView", "CreateFilter", "CreateListView",
	"CreatePropertyCollector", "CurrentTime", "DestroyCollector", "DestroyPropertyCollector", "DestroyPropertyFilter",
	"DestroyView", "Fetch", "Find", "GetAlarm", "Has", "Log", "Query", "Read", "ResetCollector", "Retrieve",
	"RewindCollector", "SessionIsActive", "SetCollectorPageSize", "Vsan", "Wait",
}

func touched(method *Method) {
	for _, begin := range reading {
		if strings.HasPrefix(method.Name, begin) {
			return
		}
	}
	changed()
}

func changed() { atomic.AddInt64(&changes, 1) }

func changesSeen() int64 { return atomic.LoadInt64(&changes) }

// now is the time of the server: the machine's, moved by the knob clock_seconds.
func now() time.Time {
	return time.Now().Add(seconds(knobs().ClockSeconds))
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

// failed turns a fault into an answer.
func failed(fault *soap.Fault) soap.HasFault { return &serverFaultBody{Reason: fault} }
