package simulator

import (
	"fmt"
	"reflect"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// alarmManager knows some of the alarms that a vCenter comes with. None goes off by itself: a test raises it (control.go).
// Vendor: vim.alarm.AlarmManager, vim.alarm.AlarmState, ManagedEntity.triggeredAlarmState.
type alarmManager struct{ mo.AlarmManager }

func init() { kinds["AlarmManager"] = reflect.TypeOf(alarmManager{}) }

var alarmsAtFirst = []struct{ key, name, kind, description string }{
	{"alarm-1", "Host connection and power state", "HostSystem", "Default alarm to monitor host connection and power state"},
	{"alarm-2", "Host CPU usage", "HostSystem", "Default alarm to monitor host CPU usage"},
	{"alarm-6", "Virtual machine CPU usage", "VirtualMachine", "Default alarm to monitor virtual machine CPU usage"},
	{"alarm-7", "Virtual machine memory usage", "VirtualMachine", "Default alarm to monitor virtual machine memory usage"},
	{"alarm-8", "Datastore usage on disk", "Datastore", "Default alarm to monitor datastore disk usage"},
	{"alarm-49", "vSAN cluster health", "ClusterComputeResource", "Default alarm for the health of a vSAN cluster"},
}

func makeAlarms() {
	for _, about := range alarmsAtFirst {
		alarm := new(mo.Alarm)
		alarm.Self = types.ManagedObjectReference{Type: "Alarm", Value: about.key}
		alarm.Info = types.AlarmInfo{
			Key: about.key, Alarm: alarm.Self, Entity: Map.content().RootFolder, LastModifiedTime: epoch,
			AlarmSpec: types.AlarmSpec{
				Name: about.name, SystemName: "alarm." + about.key, Description: about.description, Enabled: true,
				Expression: &types.OrAlarmExpression{Expression: []types.BaseAlarmExpression{
					&types.StateAlarmExpression{
						Operator: types.StateAlarmOperatorIsEqual, Type: about.kind, StatePath: "overallStatus", Red: "red",
					},
				}},
			},
		}
		Map.Put(alarm)
	}
}

func (m *alarmManager) GetAlarm(_ *Context, _ *types.GetAlarm) soap.HasFault {
	answer := new(types.GetAlarmResponse)
	for _, about := range alarmsAtFirst {
		answer.Returnval = append(answer.Returnval, types.ManagedObjectReference{Type: "Alarm", Value: about.key})
	}
	return &methods.GetAlarmBody{Res: answer}
}

func (m *alarmManager) GetAlarmState(_ *Context, r *types.GetAlarmState) soap.HasFault {
	entity, ok := Map.Get(r.Entity).(mo.Entity)
	if !ok {
		return failed(Fault("", &types.ManagedObjectNotFound{Obj: r.Entity}))
	}
	return &methods.GetAlarmStateBody{
		Res: &types.GetAlarmStateResponse{Returnval: entity.Entity().TriggeredAlarmState},
	}
}

func (m *alarmManager) AcknowledgeAlarm(ctx *Context, r *types.AcknowledgeAlarm) soap.HasFault {
	moment := now()
	forAncestors(r.Entity, func(e *mo.ManagedEntity) {
		states := append([]types.AlarmState(nil), e.TriggeredAlarmState...)
		for i := range states {
			if states[i].Alarm == r.Alarm && states[i].Entity == r.Entity {
				states[i].Acknowledged = types.NewBool(true)
				states[i].AcknowledgedTime, states[i].AcknowledgedByUser = &moment, ctx.Session.UserName
			}
		}
		e.TriggeredAlarmState = states
	})
	return &methods.AcknowledgeAlarmBody{Res: new(types.AcknowledgeAlarmResponse)}
}

// raise puts an alarm on an entity into a state. Its ancestors list it too, as the vendor's reference says of descendants.
func raise(entity, alarm types.ManagedObjectReference, status types.ManagedEntityStatus) error {
	definition, ok := Map.Get(alarm).(*mo.Alarm)
	target, is := Map.Get(entity).(mo.Entity)
	if !ok || !is {
		return fmt.Errorf("no %s or no %s", alarm, entity)
	}
	from := types.ManagedEntityStatusGray
	for _, state := range target.Entity().TriggeredAlarmState {
		if state.Alarm == alarm && state.Entity == entity {
			from = state.OverallStatus
		}
	}
	argument := types.ManagedEntityEventArgument{
		EntityEventArgument: types.EntityEventArgument{Name: entityName(target)}, Entity: entity,
	}
	event := &types.AlarmStatusChangedEvent{
		AlarmEvent: types.AlarmEvent{Alarm: types.AlarmEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: definition.Info.Name}, Alarm: alarm,
		}},
		Source: argument, Entity: argument, From: string(from), To: string(status),
	}
	internalContext.postEvent(event)
	raised := types.AlarmState{
		Key: alarm.Value + "." + entity.Value, Entity: entity, Alarm: alarm, OverallStatus: status, Time: now(),
		Acknowledged: types.NewBool(false), EventKey: event.Key, Disabled: types.NewBool(false),
	}
	forAncestors(entity, func(e *mo.ManagedEntity) {
		states := make([]types.AlarmState, 0, len(e.TriggeredAlarmState)+1)
		for _, state := range e.TriggeredAlarmState {
			if state.Key != raised.Key {
				states = append(states, state)
			}
		}
		if status == types.ManagedEntityStatusRed || status == types.ManagedEntityStatusYellow {
			states = append(states, raised)
		}
		e.TriggeredAlarmState = states
	})
	Map.WithLock(target, func() { target.Entity().OverallStatus = status })
	changed()
	return nil
}

// forAncestors changes an entity and all that it lies in.
func forAncestors(ref types.ManagedObjectReference, change func(*mo.ManagedEntity)) {
	for next := &ref; next != nil; {
		entity, ok := Map.Get(*next).(mo.Entity)
		if !ok {
			return
		}
		Map.WithLock(entity, func() { change(entity.Entity()) })
		next = entity.Entity().Parent
	}
}
