package simulator

import (
	"reflect"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator/internal"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// collector is a PropertyCollector as the vendor's reference describes it: pages, and a version per filter.
//
// The library finds the objects and reads their properties; its own versions lose what changes between two calls.
// Vendor: vmodl.query.PropertyCollector (RetrievePropertiesEx, ContinueRetrievePropertiesEx, WaitForUpdatesEx).
type collector struct {
	PropertyCollector

	guard   sync.Mutex
	pages   map[string]rest // what is left of an answer, by token
	watched map[types.ManagedObjectReference]*watched
	version int
	unsent  []piece          // updates that did not fit into the last answer
	last    *types.UpdateSet // the last answer: repeated to who asks once more with the version before it
}

type rest struct {
	objects []types.ObjectContent
	size    int32 // of a page, as the client wants it
}

func init() { kinds["PropertyCollector"] = reflect.TypeOf(collector{}) }

func (c *collector) CreatePropertyCollector(ctx *Context, _ *types.CreatePropertyCollector) soap.HasFault {
	created := new(collector)
	created.Self.Type = "PropertyCollector"
	return &methods.CreatePropertyCollectorBody{
		Res: &types.CreatePropertyCollectorResponse{Returnval: ctx.Session.Put(created).Reference()},
	}
}

// read returns the objects that specs select, as the knobs let them be seen.
func (c *collector) read(ctx *Context, specs []types.PropertyFilterSpec) ([]types.ObjectContent, *soap.Fault) {
	if wantsQuickStats(specs) {
		refreshQuickStats()
	}
	found, fault := c.collect(ctx, &types.RetrievePropertiesEx{SpecSet: specs})
	switch fault.(type) {
	case nil:
	case *types.ManagedObjectNotFound:
		return nil, Fault("The object has already been deleted or has not been completely created", fault)
	default:
		return nil, Fault("", fault)
	}
	for i := range found.Objects {
		shaped(&found.Objects[i])
	}
	return found.Objects, nil
}

func (c *collector) RetrievePropertiesEx(ctx *Context, r *types.RetrievePropertiesEx) soap.HasFault {
	objects, fault := c.read(ctx, r.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesExBody{Fault_: fault}
	}
	return &methods.RetrievePropertiesExBody{
		Res: &types.RetrievePropertiesExResponse{Returnval: c.page(objects, r.Options.MaxObjects)},
	}
}

// page returns the first of objects, and keeps the others under a token.
func (c *collector) page(objects []types.ObjectContent, wanted int32) *types.RetrieveResult {
	size := atMost(wanted)
	if len(objects) == 0 {
		return nil
	}
	if len(objects) <= size {
		return &types.RetrieveResult{Objects: objects}
	}
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.pages == nil {
		c.pages = make(map[string]rest)
	}
	token := uuid.New().String()
	c.pages[token] = rest{objects[size:], wanted}
	return &types.RetrieveResult{Token: token, Objects: objects[:size]}
}

// atMost returns the smaller of what the client wants in one answer and what the server gives.
func atMost(wanted int32) int {
	size := knobs().PageObjects
	if size == 0 || wanted > 0 && int(wanted) < size {
		size = int(wanted)
	}
	if size <= 0 {
		size = int(^uint(0) >> 1)
	}
	return size
}

func (c *collector) take(token string) (rest, bool) {
	c.guard.Lock()
	defer c.guard.Unlock()
	left, ok := c.pages[token]
	delete(c.pages, token)
	return left, ok
}

func (c *collector) ContinueRetrievePropertiesEx(ctx *Context, r *types.ContinueRetrievePropertiesEx) soap.HasFault {
	left, ok := c.take(r.Token)
	if !ok {
		return &methods.ContinueRetrievePropertiesExBody{
			Fault_: Fault("", &types.InvalidArgument{InvalidProperty: "token"}),
		}
	}
	return &methods.ContinueRetrievePropertiesExBody{
		Res: &types.ContinueRetrievePropertiesExResponse{Returnval: *c.page(left.objects, left.size)},
	}
}

func (c *collector) CancelRetrievePropertiesEx(ctx *Context, r *types.CancelRetrievePropertiesEx) soap.HasFault {
	if _, ok := c.take(r.Token); !ok {
		return failed(Fault("", &types.InvalidArgument{InvalidProperty: "token"}))
	}
	return &methods.CancelRetrievePropertiesExBody{Res: new(types.CancelRetrievePropertiesExResponse)}
}

func (c *collector) RetrieveProperties(ctx *Context, r *types.RetrieveProperties) soap.HasFault {
	objects, fault := c.read(ctx, r.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesBody{Fault_: fault}
	}
	return &methods.RetrievePropertiesBody{Res: &types.RetrievePropertiesResponse{Returnval: objects}}
}

// Fetch is what pyvmomi calls for an attribute of a managed object; an unset one is an empty answer.
func (c *collector) Fetch(ctx *Context, r *internal.Fetch) soap.HasFault {
	if r.Prop == "content" || Map.Get(r.This) == nil && (ctx.Session == nil || ctx.Session.Get(r.This) == nil) {
		return c.PropertyCollector.Fetch(ctx, r)
	}
	objects, fault := c.read(ctx, []types.PropertyFilterSpec{{
		PropSet:   []types.PropertySpec{{Type: r.This.Type, PathSet: []string{r.Prop}}},
		ObjectSet: []types.ObjectSpec{{Obj: r.This}},
	}})
	if fault != nil {
		return failed(fault)
	}
	answer := new(internal.FetchResponse)
	for _, object := range objects {
		for _, missing := range object.MissingSet {
			return failed(Fault(missing.Fault.LocalizedMessage, missing.Fault.Fault))
		}
		for _, property := range object.PropSet {
			answer.Returnval = property.Val
		}
	}
	return &internal.FetchBody{Res: answer}
}

func wantsQuickStats(specs []types.PropertyFilterSpec) bool {
	for _, spec := range specs {
		for _, set := range spec.PropSet {
			if isTrue(set.All) {
				return true
			}
			for _, path := range set.PathSet {
				if path == "summary" || strings.HasPrefix(path, "summary.quickStats") {
					return true
				}
			}
		}
	}
	return false
}
