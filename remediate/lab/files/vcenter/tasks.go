package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// work is the body of a task: what it yields, or why it failed.
type work func() (types.AnyType, types.BaseMethodFault)

// start begins a task on a machine, or refuses because one is under way there.
//
// The simulator's own tasks hold the machine's lock while they work, so that nobody could read its properties;
// these hold it only to change them.
func (c *center) start(m *machine, method, user string, do work) (types.ManagedObjectReference, types.BaseMethodFault) {
	if !m.begin() {
		return types.ManagedObjectReference{}, &types.TaskInProgress{Task: m.underWay()}
	}
	now := time.Now()
	task := &simulator.Task{Task: mo.Task{}}
	task.Self = types.ManagedObjectReference{Type: "Task", Value: fmt.Sprintf("task-%d", c.lastID.Add(1))}
	task.Info = types.TaskInfo{
		Key:           task.Self.Value,
		Task:          task.Self,
		Name:          method,
		DescriptionId: "VirtualMachine." + strings.ToLower(method[:1]) + strings.TrimSuffix(method[1:], "_Task"),
		Entity:        &m.Self,
		EntityName:    m.Name,
		State:         types.TaskInfoStateRunning,
		Reason:        &types.TaskReasonUser{UserName: user},
		QueueTime:     now,
		StartTime:     &now,
	}
	m.entrust(task.Self)
	c.registry().Put(task)
	rule := c.rules.take(stageTask, method, m.spec.Name)
	if rule.vanishes() {
		c.registry().Remove(c.context(), task.Self)
	}
	go c.finish(m, task, rule, do)
	return task.Self, nil
}

func (c *center) finish(m *machine, task *simulator.Task, rule *rule, do work) {
	time.Sleep(seconds(c.current().TaskDelay) + rule.delay())
	var result types.AnyType
	fault := rule.fault(beforeEffect)
	if fault == nil {
		result, fault = do()
	}
	if late := rule.fault(afterEffect); late != nil {
		result, fault = nil, late
	}
	m.refresh()
	m.end()
	c.context().AutoUpdate(task, func() {
		now := time.Now()
		task.Info.CompleteTime = &now
		if fault != nil {
			task.Info.State = types.TaskInfoStateError
			task.Info.Error = &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: describe(fault)}
			return
		}
		task.Info.State, task.Info.Result = types.TaskInfoStateSuccess, result
	})
}

func seconds(n float64) time.Duration {
	return time.Duration(n * float64(time.Second))
}

// describe is the text of a fault: its reason if it has one, else its name.
func describe(fault types.BaseMethodFault) string {
	if system, ok := fault.(*types.SystemError); ok {
		return system.Reason
	}
	return reflect.TypeOf(fault).Elem().Name()
}
