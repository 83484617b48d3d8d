package simulator

import (
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

var lastTaskEnds int64 // when the last task that a knob slows down ends, in Unix nanoseconds

// execute runs a task, or lets it fail as a knob says, and leaves the event that vCenter leaves for each.
func execute(t *Task) (types.AnyType, types.BaseMethodFault) {
	this := *t.Info.Entity
	name := describe(t)
	keepTask(t)
	event := &types.TaskEvent{Event: types.Event{}, Info: t.Info}
	internalContext.postEvent(event)
	t.Info.EventChainId = event.ChainId
	if takes := knobs().TaskSeconds[name]; takes > 0 {
		ends := time.Now().Add(seconds(takes)).UnixNano()
		for last := atomic.LoadInt64(&lastTaskEnds); last < ends; last = atomic.LoadInt64(&lastTaskEnds) {
			atomic.CompareAndSwapInt64(&lastTaskEnds, last, ends)
		}
	}
	if fault, ok := knobs().TaskFault[name]; ok {
		return nil, faultOf(fault, &Method{Name: name, This: this})
	}
	return t.Execute(t)
}

// describe gives the task the names that a vCenter gives, and returns that of its method.
func describe(t *Task) string {
	t.Info.Name = methodOfTask(t.Info.Name)
	if taken, ok := Map.Get(*t.Info.Entity).(*VirtualMachineSnapshot); ok {
		t.Info.Entity = &taken.Vm // the entity of a task is one of the inventory, which a snapshot is not
	}
	if entity, ok := Map.Get(*t.Info.Entity).(mo.Entity); ok && entity.Entity().Name != "" {
		t.Info.EntityName = entity.Entity().Name
	} else if !ok {
		t.Info.Entity = nil // as of the files that a guest leaves: a manager of disks is no entity either
	}
	return t.Info.Name
}

// methodOfTask returns the name on the wire: the library calls tasks "PowerOn" and "PowerOnVM_Task" alike.
func methodOfTask(name string) string {
	short := map[string]string{
		"CloneVm": "CloneVM_Task", "CreateSnapshot": "CreateSnapshot_Task", "CreateVM": "CreateVM_Task",
		"Destroy": "Destroy_Task", "Disconnect": "DisconnectHost_Task", "Reconnect": "ReconnectHost_Task",
		"RegisterVM": "RegisterVM_Task", "EnterMaintenanceMode": "EnterMaintenanceMode_Task", "ExitMaintenanceMode": "ExitMaintenanceMode_Task",
		"MoveIntoFolder": "MoveIntoFolder_Task", "PowerOff": "PowerOffVM_Task", "PowerOn": "PowerOnVM_Task",
		"ReconfigVm": "ReconfigVM_Task", "RelocateVm": "RelocateVM_Task", "RemoveAllSnapshots": "RemoveAllSnapshots_Task",
		"RemoveSnapshot": "RemoveSnapshot_Task", "Rename": "Rename_Task", "Reset": "ResetVM_Task",
		"RevertSnapshot": "RevertToCurrentSnapshot_Task", "RevertToSnapshot": "RevertToSnapshot_Task",
		"Suspend": "SuspendVM_Task",
	}
	if long, ok := short[name]; ok {
		return long
	}
	return name
}

// tasksRunning tells whether a task that ended here is still shown as running, or was a moment ago.
func tasksRunning() bool {
	return time.Now().UnixNano() < atomic.LoadInt64(&lastTaskEnds)+int64(2*lookEvery)
}

// showRunning makes a task that a knob slows down look as if it ran, with its progress.
func showRunning(object *types.ObjectContent) {
	task, ok := Map.Get(object.Obj).(*Task)
	if !ok || task.Info.StartTime == nil || task.Info.CompleteTime == nil {
		return
	}
	info := shownTask(task.Info)
	if info.State != types.TaskInfoStateRunning {
		return
	}
	shown := map[string]types.AnyType{
		"info": info, "info.state": info.State, "info.progress": info.Progress,
		"info.completeTime": nil, "info.result": nil, "info.error": nil,
	}
	for i, property := range object.PropSet {
		if value, ok := shown[property.Name]; ok {
			object.PropSet[i].Val = value
		}
	}
}
