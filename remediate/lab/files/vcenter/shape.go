package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// shape is what can be changed about a machine. A snapshot keeps it, and a revert puts it back. The host itself
// is not made smaller or bigger.
type shape struct {
	CPUs     int32  `json:"cpus"`
	MemoryMB int32  `json:"memory_mb"`
	Notes    string `json:"notes"`
}

func (s shape) apply(config *types.VirtualMachineConfigInfo) {
	config.Hardware.NumCPU, config.Hardware.MemoryMB, config.Annotation = s.CPUs, s.MemoryMB, s.Notes
}

func (m *machine) shape() shape {
	var now shape
	m.center.context().WithLock(m, func() {
		now = shape{m.Config.Hardware.NumCPU, m.Config.Hardware.MemoryMB, m.Config.Annotation}
	})
	return now
}

// take gives the machine a shape.
func (m *machine) take(s shape) {
	m.center.context().AutoUpdate(m, func() {
		s.apply(m.Config)
		m.Summary.Config.NumCpu, m.Summary.Config.MemorySizeMB = s.CPUs, s.MemoryMB
		m.Summary.Config.Annotation = s.Notes
	})
}

func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	task, fault := m.center.start(m, "ReconfigVM_Task", userOf(ctx), func() (types.AnyType, types.BaseMethodFault) {
		return nil, m.reconfigure(&req.Spec)
	})
	if fault != nil {
		return refuse(fault)
	}
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task}}
}

// reconfigure changes what is given: processors and memory only while it is off, for it has no hot add.
func (m *machine) reconfigure(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	before := m.shape()
	after := before
	if spec.NumCPUs != 0 {
		after.CPUs = spec.NumCPUs
	}
	if spec.MemoryMB != 0 {
		after.MemoryMB = int32(spec.MemoryMB)
	}
	if spec.Annotation != "" {
		after.Notes = spec.Annotation
	}
	hardware := after.CPUs != before.CPUs || after.MemoryMB != before.MemoryMB
	if hardware && m.on(m.center.context()) {
		return &types.InvalidPowerState{RequestedState: powerState(false), ExistingState: powerState(true)}
	}
	m.take(after)
	m.change(func(t *tree) { t.Shape = &after })
	return nil
}
