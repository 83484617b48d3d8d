package simulator

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const lookEvery = 100 * time.Millisecond

// watched is what a filter has reported: a fingerprint of each property of each object. What differs from it is news,
// whenever it came about and whichever way the library made it.
type watched struct {
	reported map[types.ManagedObjectReference]map[string]uint64
	changes  int64 // as of the last look
	minute   int64 // third of a minute of the last look, if quick statistics are watched
}

// piece is one object's news for one filter: answers are cut between pieces.
type piece struct {
	filter types.ManagedObjectReference
	update types.ObjectUpdate
}

func (c *collector) WaitForUpdatesEx(ctx *Context, r *types.WaitForUpdatesEx) soap.HasFault {
	wait, cancel := context.WithCancel(context.Background())
	atOnce, most := false, 0
	if r.Options != nil {
		most = int(r.Options.MaxObjectUpdates)
		if limit := r.Options.MaxWaitSeconds; limit != nil {
			atOnce = *limit == 0
			if *limit > 0 {
				wait, cancel = context.WithTimeout(context.Background(), time.Duration(*limit)*time.Second)
			}
		}
	}
	defer cancel()
	c.mu.Lock()
	c.cancel = cancel // for CancelWaitForUpdates, which is the library's
	c.mu.Unlock()

	set, fault := c.begin(r.Version)
	for set == nil && fault == nil {
		if ended(ctx) {
			fault = Fault("The session is not authenticated.", faultOf("NotAuthenticated", &Method{This: r.This}))
			break
		}
		if set, fault = c.news(ctx, most); set != nil || fault != nil || atOnce {
			break
		}
		select {
		case <-time.After(lookEvery):
			continue
		case <-wait.Done():
		}
		if wait.Err() == context.Canceled {
			fault = Fault("", new(types.RequestCanceled))
		}
		break
	}
	if fault != nil {
		return &methods.WaitForUpdatesExBody{Fault_: fault}
	}
	return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{Returnval: set}}
}

// ended tells whether the session was ended meanwhile; calls from inside have none.
func ended(ctx *Context) bool {
	if ctx.svc == nil {
		return false
	}
	_, alive := ctx.svc.sm.getSession(ctx.Session.Key)
	return !alive
}

// begin checks the version that the client has: none begins anew, the one before the last repeats the last answer.
func (c *collector) begin(version string) (*types.UpdateSet, *soap.Fault) {
	c.guard.Lock()
	defer c.guard.Unlock()
	switch version {
	case "":
		c.watched = make(map[types.ManagedObjectReference]*watched)
		c.unsent, c.last = nil, nil
		c.version++
		return nil, nil
	case fmt.Sprint(c.version):
		return nil, nil
	case fmt.Sprint(c.version - 1):
		if c.last != nil {
			return c.last, nil
		}
	}
	return nil, Fault("", new(types.InvalidCollectorVersion))
}

// news returns what changed since the last answer, at most so many objects of it, or nothing.
func (c *collector) news(ctx *Context, most int) (*types.UpdateSet, *soap.Fault) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if len(c.unsent) == 0 {
		if fault := c.look(ctx); fault != nil {
			return nil, fault
		}
	}
	if len(c.unsent) == 0 {
		return nil, nil
	}
	count := atMost(int32(most))
	if count > len(c.unsent) {
		count = len(c.unsent)
	}
	c.version++
	set := &types.UpdateSet{Version: fmt.Sprint(c.version)}
	for _, piece := range c.unsent[:count] {
		end := len(set.FilterSet) - 1
		if end < 0 || set.FilterSet[end].Filter != piece.filter {
			set.FilterSet = append(set.FilterSet, types.PropertyFilterUpdate{Filter: piece.filter})
			end++
		}
		set.FilterSet[end].ObjectSet = append(set.FilterSet[end].ObjectSet, piece.update)
	}
	c.unsent = c.unsent[count:]
	if len(c.unsent) > 0 {
		set.Truncated = types.NewBool(true)
	}
	c.last = set
	return set, nil
}

// look compares what each filter selects with what it reported.
func (c *collector) look(ctx *Context) *soap.Fault {
	for _, ref := range c.Filter {
		filter := ctx.Session.Get(ref).(*PropertyFilter)
		seen := c.watched[ref]
		if seen == nil {
			seen = &watched{reported: make(map[types.ManagedObjectReference]map[string]uint64), changes: -1}
			c.watched[ref] = seen
		}
		specs := []types.PropertyFilterSpec{filter.Spec}
		at, minute := changesSeen(), int64(0)
		if wantsQuickStats(specs) {
			minute = now().Unix() / 20
		}
		if seen.changes == at && seen.minute == minute && !tasksRunning() {
			continue
		}
		objects, fault := c.read(ctx, specs)
		if fault != nil {
			return fault
		}
		seen.changes, seen.minute = at, minute
		c.unsent = append(c.unsent, seen.compare(ref, objects)...)
	}
	return nil
}

func (w *watched) compare(filter types.ManagedObjectReference, objects []types.ObjectContent) []piece {
	var news []piece
	there := make(map[types.ManagedObjectReference]bool, len(objects))
	for i := range objects {
		object := &objects[i]
		there[object.Obj] = true
		before, known := w.reported[object.Obj]
		update := types.ObjectUpdate{Obj: object.Obj, Kind: types.ObjectUpdateKindModify}
		if !known {
			before = make(map[string]uint64, len(object.PropSet))
			w.reported[object.Obj] = before
			update.Kind = types.ObjectUpdateKindEnter
		}
		update.ChangeSet, update.MissingSet = different(before, object)
		if !known || len(update.ChangeSet)+len(update.MissingSet) > 0 {
			news = append(news, piece{filter, update})
		}
	}
	for ref := range w.reported {
		if !there[ref] {
			delete(w.reported, ref)
			news = append(news, piece{filter, types.ObjectUpdate{Obj: ref, Kind: types.ObjectUpdateKindLeave}})
		}
	}
	return news
}

// different brings before up to date and returns what changed: a property that is no longer set is assigned nothing.
func different(before map[string]uint64, object *types.ObjectContent) ([]types.PropertyChange, []types.MissingProperty) {
	var set []types.PropertyChange
	var missing []types.MissingProperty
	there := make(map[string]bool, len(object.PropSet)+len(object.MissingSet))
	for _, property := range object.PropSet {
		there[property.Name] = true
		print := fingerprint(property.Val)
		if old, known := before[property.Name]; !known || old != print {
			before[property.Name] = print
			set = append(set, types.PropertyChange{Op: types.PropertyChangeOpAssign, Name: property.Name, Val: property.Val})
		}
	}
	for _, property := range object.MissingSet {
		there[property.Path] = true
		if old, known := before[property.Path]; !known || old != 0 {
			before[property.Path] = 0
			missing = append(missing, property)
		}
	}
	for name := range before {
		if !there[name] {
			delete(before, name)
			set = append(set, types.PropertyChange{Op: types.PropertyChangeOpAssign, Name: name})
		}
	}
	return set, missing
}

func (c *collector) CheckForUpdates(ctx *Context, r *types.CheckForUpdates) soap.HasFault {
	answer := c.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{
		This: r.This, Version: r.Version, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(0)},
	})
	if fault := answer.Fault(); fault != nil {
		return failed(fault)
	}
	return &methods.CheckForUpdatesBody{
		Res: &types.CheckForUpdatesResponse{Returnval: answer.(*methods.WaitForUpdatesExBody).Res.Returnval},
	}
}

func (c *collector) WaitForUpdates(ctx *Context, r *types.WaitForUpdates) soap.HasFault {
	answer := c.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{This: r.This, Version: r.Version})
	if fault := answer.Fault(); fault != nil {
		return failed(fault)
	}
	return &methods.WaitForUpdatesBody{
		Res: &types.WaitForUpdatesResponse{Returnval: *answer.(*methods.WaitForUpdatesExBody).Res.Returnval},
	}
}
