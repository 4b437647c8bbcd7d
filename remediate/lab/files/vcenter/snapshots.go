package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// snapshot is the managed object behind one record of a machine's tree.
type snapshot struct {
	mo.VirtualMachineSnapshot
	center *center
}

func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	if req.Name == "" {
		return refuse(&types.InvalidName{Name: req.Name})
	}
	task, fault := m.center.start(m, "CreateSnapshot_Task", userOf(ctx), func() (types.AnyType, types.BaseMethodFault) {
		return m.keep(req)
	})
	if fault != nil {
		return refuse(fault)
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: task}}
}

// keep is the body of the task that makes a snapshot.
func (m *machine) keep(req *types.CreateSnapshot_Task) (types.AnyType, types.BaseMethodFault) {
	if m.depth() >= m.center.current().MaxDepth {
		return nil, &types.TooManySnapshotLevels{}
	}
	ctx := m.center.context()
	on, tools := m.on(ctx), m.toolsRun(ctx)
	made := record{
		Ref:         fmt.Sprintf("snapshot-%d", m.center.lastID.Add(1)),
		Name:        req.Name,
		Description: req.Description,
		Created:     time.Now(),
		// A machine that is off has no memory to keep.
		On: req.Memory && on,
		// vSphere ignores the wish without Tools, and where memory is kept.
		Quiesced: req.Quiesce && !req.Memory && on && tools,
		Shape:    m.shape(),
	}
	done, fault := m.effect("create", made.Ref, "--room", strconv.FormatInt(m.center.free(), 10))
	if fault != nil {
		return nil, fault
	}
	made.Bytes = done.Bytes
	made.Real = m.center.current().Effects != noEffects
	m.change(func(t *tree) { t.add(made) })
	return made.reference(), nil
}

func (m *machine) RevertToCurrentSnapshotTask(ctx *simulator.Context, _ *types.RevertToCurrentSnapshot_Task) soap.HasFault {
	current := m.currentSnapshot()
	if current == "" {
		return refuse(&types.NotFound{})
	}
	task, fault := m.center.start(m, "RevertToCurrentSnapshot_Task", userOf(ctx), m.revert(current))
	if fault != nil {
		return refuse(fault)
	}
	return &methods.RevertToCurrentSnapshot_TaskBody{Res: &types.RevertToCurrentSnapshot_TaskResponse{Returnval: task}}
}

func (s *snapshot) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	m := s.center.machines[s.Vm]
	task, fault := s.center.start(m, "RevertToSnapshot_Task", userOf(ctx), m.revert(s.Self.Value))
	if fault != nil {
		return refuse(fault)
	}
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: task}}
}

// revert is the body of the task that puts a machine back. It comes back on only if its memory was kept; the lab
// boots it then, because a control group's memory can't be kept.
func (m *machine) revert(ref string) work {
	return func() (types.AnyType, types.BaseMethodFault) {
		kept, there := m.find(ref)
		if !there {
			return nil, &types.ManagedObjectNotFound{Obj: record{Ref: ref}.reference()}
		}
		if m.center.current().Effects != noEffects && !kept.Real {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: ref}}
		}
		power := "off"
		if kept.On {
			power = "on"
		}
		if _, fault := m.effect("revert", ref, "--power", power); fault != nil {
			return nil, fault
		}
		m.take(kept.Shape)
		m.change(func(t *tree) { t.Current, t.Shape = ref, &kept.Shape })
		m.show(kept.On, kept.On)
		return nil, nil
	}
}

func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	m := s.center.machines[s.Vm]
	task, fault := s.center.start(m, "RemoveSnapshot_Task", userOf(ctx), func() (types.AnyType, types.BaseMethodFault) {
		return m.remove(m.below(s.Self.Value, req.RemoveChildren))
	})
	if fault != nil {
		return refuse(fault)
	}
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: task}}
}

func (m *machine) RemoveAllSnapshotsTask(ctx *simulator.Context, _ *types.RemoveAllSnapshots_Task) soap.HasFault {
	task, fault := m.center.start(m, "RemoveAllSnapshots_Task", userOf(ctx), func() (types.AnyType, types.BaseMethodFault) {
		return m.remove(m.snapshots())
	})
	if fault != nil {
		return refuse(fault)
	}
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: task}}
}

func (m *machine) remove(refs []string) (types.AnyType, types.BaseMethodFault) {
	if _, fault := m.effect("remove", refs...); fault != nil {
		return nil, fault
	}
	m.change(func(t *tree) { t.remove(refs) })
	return nil, nil
}
