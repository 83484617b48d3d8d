package simulator

import (
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// taskHistory keeps all tasks in the order in which they were queued; the library has no history of them.
var taskHistory struct {
	sync.Mutex
	tasks []*Task
}

func keepTask(task *Task) {
	taskHistory.Lock()
	defer taskHistory.Unlock()
	if !history.closed {
		taskHistory.tasks = append(taskHistory.tasks, task)
	}
}

// tasksSoFar returns what a client may see of all tasks now.
func tasksSoFar() []types.TaskInfo {
	taskHistory.Lock()
	tasks := append([]*Task(nil), taskHistory.tasks...)
	taskHistory.Unlock()
	var infos []types.TaskInfo
	for _, task := range tasks {
		Map.WithLock(task, func() { infos = append(infos, shownTask(task.Info)) })
	}
	return infos
}

// shownTask makes a task that a knob slows down look as if it ran, and end when it looks so.
func shownTask(info types.TaskInfo) types.TaskInfo {
	if info.StartTime == nil || info.CompleteTime == nil {
		return info
	}
	takes := seconds(knobs().TaskSeconds[info.Name])
	if ends := info.StartTime.Add(takes); ends.After(*info.CompleteTime) {
		info.CompleteTime = &ends
	}
	if done := time.Since(*info.StartTime); done < takes {
		info.State, info.Progress = types.TaskInfoStateRunning, int32(100*done/takes)
		info.CompleteTime, info.Result, info.Error = nil, nil, nil
	}
	return info
}

// taskManager gives out collectors of the task history, filtered by time and state.
// Vendor: vim.TaskManager (CreateCollectorForTasks), vim.TaskHistoryCollector, vim.HistoryCollector, vim.TaskFilterSpec.
type taskManager struct{ *TaskManager }

func init() {
	addTo(&TaskManager{}, func(o mo.Reference) interface{} { return taskManager{o.(*TaskManager)} })
}

func (m taskManager) CreateCollectorForTasks(ctx *Context, r *types.CreateCollectorForTasks) soap.HasFault {
	if Map.IsESX() || r.Filter.Entity != nil || r.Filter.UserName != nil {
		return failed(Fault("", new(types.NotSupported)))
	}
	if opened(ctx, "TaskHistoryCollector") >= collectorsPerSession {
		return failed(Fault("", new(types.InvalidState)))
	}
	created := &taskCollector{spec: r.Filter}
	created.Self.Type = "TaskHistoryCollector"
	created.Filter = r.Filter
	return &methods.CreateCollectorForTasksBody{
		Res: &types.CreateCollectorForTasksResponse{Returnval: ctx.Session.Put(created).Reference()},
	}
}

type taskCollector struct {
	mo.TaskHistoryCollector

	spec types.TaskFilterSpec
	pos  int // of the next newer task
}

func (c *taskCollector) takes(info types.TaskInfo) bool {
	return taskInTime(info, c.spec.Time) && taskInState(info, c.spec.State)
}

func taskInTime(info types.TaskInfo, span *types.TaskFilterSpecByTime) bool {
	if span == nil {
		return true
	}
	moment := &info.QueueTime
	switch span.TimeType {
	case types.TaskFilterSpecTimeOptionStartedTime:
		moment = info.StartTime
	case types.TaskFilterSpecTimeOptionCompletedTime:
		moment = info.CompleteTime
	}
	return moment != nil && (span.BeginTime == nil || !moment.Before(*span.BeginTime)) &&
		(span.EndTime == nil || !moment.After(*span.EndTime))
}

func taskInState(info types.TaskInfo, states []types.TaskInfoState) bool {
	for _, state := range states {
		if state == info.State {
			return true
		}
	}
	return len(states) == 0
}

func (c *taskCollector) ReadNextTasks(_ *Context, r *types.ReadNextTasks) soap.HasFault {
	if r.MaxCount <= 0 || r.MaxCount > int32(maxPageSize) {
		return failed(Fault("", &types.InvalidArgument{InvalidProperty: "maxCount"}))
	}
	var taken []types.TaskInfo
	for _, info := range tasksSoFar() {
		if c.takes(info) {
			taken = append(taken, info)
		}
	}
	begin, end := c.pos, c.pos+int(r.MaxCount)
	if begin > len(taken) {
		begin = len(taken)
	}
	if end > len(taken) {
		end = len(taken)
	}
	c.pos = end
	return &methods.ReadNextTasksBody{Res: &types.ReadNextTasksResponse{Returnval: taken[begin:end]}}
}

func (c *taskCollector) DestroyCollector(ctx *Context, r *types.DestroyCollector) soap.HasFault {
	ctx.Session.Remove(r.This)
	return &methods.DestroyCollectorBody{Res: new(types.DestroyCollectorResponse)}
}
