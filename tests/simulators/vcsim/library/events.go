package simulator

import (
	"reflect"
	"sync"
	"text/template"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// history keeps all events in the order of their keys; the library keeps the last thousand, and gives ten of them.
var history eventHistory

type eventHistory struct {
	sync.Mutex
	events []types.BaseEvent
	closed bool // while the inventory is made
}

func (h *eventHistory) add(m *EventManager, event types.BaseEvent) {
	h.Lock()
	defer h.Unlock()
	if h.closed {
		return
	}
	base := event.GetEvent()
	base.CreatedTime = now()
	kind := reflect.TypeOf(event).Elem().Name()
	base.FullFormattedMessage = kind
	if readable(m, kind) {
		m.formatMessage(event)
	}
	h.events = append(h.events, event)
	changed() // latestPage is a property
}

// readable tells whether the library can format an event's message: it panics at what it took from a vCenter unchanged.
func readable(m *EventManager, kind string) bool {
	for _, info := range m.Description.EventInfo {
		if info.Key == kind {
			_, err := template.New(kind).Parse(info.FullFormat)
			return err == nil
		}
	}
	return false
}

func (h *eventHistory) all() []types.BaseEvent {
	h.Lock()
	defer h.Unlock()
	return h.events
}

// The vendor allows so many collectors in a session.
const collectorsPerSession = 32

// eventManager gives out collectors with a view that scrolls, on ESXi as well.
// Vendor: vim.event.EventManager, vim.event.EventHistoryCollector, vim.HistoryCollector, vim.event.EventFilterSpec.
type eventManager struct{ *EventManager }

func init() {
	addTo(&EventManager{}, func(o mo.Reference) interface{} { return eventManager{o.(*EventManager)} })
}

func (m eventManager) CreateCollectorForEvents(ctx *Context, r *types.CreateCollectorForEvents) soap.HasFault {
	size, fault := validatePageSize(r.Filter.MaxCount)
	if fault != nil {
		return failed(fault)
	}
	if opened(ctx, "EventHistoryCollector") >= collectorsPerSession {
		return failed(Fault("", new(types.InvalidState)))
	}
	created := &eventCollector{spec: r.Filter, size: size}
	created.Self.Type = "EventHistoryCollector"
	created.Filter = r.Filter
	return &methods.CreateCollectorForEventsBody{
		Res: &types.CreateCollectorForEventsResponse{Returnval: ctx.Session.Put(created).Reference()},
	}
}

// opened returns how many objects of a type the session has.
func opened(ctx *Context, kind string) int {
	count := 0
	ctx.Session.m.Lock()
	defer ctx.Session.m.Unlock()
	for ref := range ctx.Session.objects {
		if ref.Type == kind {
			count++
		}
	}
	return count
}

func (m eventManager) QueryEvents(_ *Context, r *types.QueryEvents) soap.HasFault {
	return &methods.QueryEventsBody{Res: &types.QueryEventsResponse{Returnval: selected(r.Filter)}}
}

// selected returns the events that a filter takes, oldest first.
func selected(spec types.EventFilterSpec) []types.BaseEvent {
	judge := &EventHistoryCollector{m: Map.EventManager()} // the library judges types and entities
	judge.Filter = spec
	var taken []types.BaseEvent
	for _, event := range history.all() {
		if inTime(event.GetEvent(), spec.Time) && byUser(event.GetEvent(), spec.UserName) && judge.eventMatches(event) {
			taken = append(taken, event)
		}
	}
	return taken
}

func inTime(event *types.Event, span *types.EventFilterSpecByTime) bool {
	return span == nil ||
		(span.BeginTime == nil || !event.CreatedTime.Before(*span.BeginTime)) &&
			(span.EndTime == nil || !event.CreatedTime.After(*span.EndTime))
}

func byUser(event *types.Event, spec *types.EventFilterSpecByUsername) bool {
	if spec == nil || len(spec.UserList) == 0 {
		return true
	}
	for _, name := range spec.UserList {
		if name == event.UserName {
			return true
		}
	}
	return false
}

type eventCollector struct {
	mo.EventHistoryCollector

	spec types.EventFilterSpec
	size int
	pos  int // of the next newer event
}

// Get is what the library asks for an object whose properties are made when they are read.
func (c *eventCollector) Get() mo.Reference {
	clone := *c
	events := selected(c.spec)
	for i := len(events) - 1; i >= 0 && len(clone.LatestPage) < c.size; i-- {
		clone.LatestPage = append(clone.LatestPage, events[i])
	}
	return &clone
}

func (c *eventCollector) ReadNextEvents(_ *Context, r *types.ReadNextEvents) soap.HasFault {
	if r.MaxCount <= 0 || r.MaxCount > int32(maxPageSize) {
		return failed(Fault("", &types.InvalidArgument{InvalidProperty: "maxCount"}))
	}
	events := selected(c.spec)
	end := c.pos + int(r.MaxCount)
	if end > len(events) {
		end = len(events)
	}
	page := events[c.pos:end]
	c.pos = end
	return &methods.ReadNextEventsBody{Res: &types.ReadNextEventsResponse{Returnval: page}}
}

func (c *eventCollector) ReadPreviousEvents(_ *Context, r *types.ReadPreviousEvents) soap.HasFault {
	if r.MaxCount <= 0 || r.MaxCount > int32(maxPageSize) {
		return failed(Fault("", &types.InvalidArgument{InvalidProperty: "maxCount"}))
	}
	events := selected(c.spec)
	var page []types.BaseEvent
	for c.pos > 0 && len(page) < int(r.MaxCount) {
		c.pos--
		page = append(page, events[c.pos])
	}
	return &methods.ReadPreviousEventsBody{Res: &types.ReadPreviousEventsResponse{Returnval: page}}
}

func (c *eventCollector) RewindCollector(_ *Context, _ *types.RewindCollector) soap.HasFault {
	c.pos = 0
	return &methods.RewindCollectorBody{Res: new(types.RewindCollectorResponse)}
}

func (c *eventCollector) ResetCollector(_ *Context, _ *types.ResetCollector) soap.HasFault {
	c.pos = len(selected(c.spec)) - c.size
	if c.pos < 0 {
		c.pos = 0
	}
	return &methods.ResetCollectorBody{Res: new(types.ResetCollectorResponse)}
}

func (c *eventCollector) SetCollectorPageSize(_ *Context, r *types.SetCollectorPageSize) soap.HasFault {
	size, fault := validatePageSize(r.MaxCount)
	if fault != nil {
		return failed(fault)
	}
	c.size = size
	return &methods.SetCollectorPageSizeBody{Res: new(types.SetCollectorPageSizeResponse)}
}

func (c *eventCollector) DestroyCollector(ctx *Context, r *types.DestroyCollector) soap.HasFault {
	ctx.Session.Remove(r.This)
	return &methods.DestroyCollectorBody{Res: new(types.DestroyCollectorResponse)}
}
