package main

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is one lab host as a virtual machine. It must embed the simulator's first: that is how it finds properties.
type machine struct {
	*simulator.VirtualMachine
	center *center
	spec   *machineSpec

	mu       sync.Mutex // guards what follows
	busy     bool
	task     types.ManagedObjectReference
	tree     tree
	toolsOff bool // a test wants VMware Tools not to run
	gone     bool // a test wants it to be unknown
}

// begin claims the machine for one task; false if another one is under way.
func (m *machine) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy {
		return false
	}
	m.busy = true
	return true
}

func (m *machine) entrust(task types.ManagedObjectReference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.task = task
}

func (m *machine) underWay() types.ManagedObjectReference {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.task
}

func (m *machine) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy = false
}

// on tells the power state as the API shows it. A handler passes its own context: it holds the machine's lock.
func (m *machine) on(ctx *simulator.Context) bool {
	var on bool
	ctx.WithLock(m, func() {
		on = m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
	})
	return on
}

func (m *machine) toolsRun(ctx *simulator.Context) bool {
	var run bool
	ctx.WithLock(m, func() {
		run = m.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	})
	return run
}

// power is the body of a task that needs one power state and has an effect.
func (m *machine) power(verb string, needsOn, becomesOn bool) work {
	return func() (types.AnyType, types.BaseMethodFault) {
		if m.on(m.center.context()) != needsOn {
			return nil, &types.InvalidPowerState{RequestedState: powerState(needsOn), ExistingState: powerState(!needsOn)}
		}
		if _, fault := m.effect(verb); fault != nil {
			return nil, fault
		}
		m.show(becomesOn, becomesOn)
		return nil, nil
	}
}

func powerState(on bool) types.VirtualMachinePowerState {
	if on {
		return types.VirtualMachinePowerStatePoweredOn
	}
	return types.VirtualMachinePowerStatePoweredOff
}

func (m *machine) PowerOnVMTask(ctx *simulator.Context, _ *types.PowerOnVM_Task) soap.HasFault {
	task, fault := m.center.start(m, "PowerOnVM_Task", userOf(ctx), m.power("power-on", false, true))
	if fault != nil {
		return refuse(fault)
	}
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task}}
}

func (m *machine) PowerOffVMTask(ctx *simulator.Context, _ *types.PowerOffVM_Task) soap.HasFault {
	task, fault := m.center.start(m, "PowerOffVM_Task", userOf(ctx), m.power("power-off", true, false))
	if fault != nil {
		return refuse(fault)
	}
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: task}}
}

func (m *machine) ResetVMTask(ctx *simulator.Context, _ *types.ResetVM_Task) soap.HasFault {
	task, fault := m.center.start(m, "ResetVM_Task", userOf(ctx), m.power("power-cycle", true, true))
	if fault != nil {
		return refuse(fault)
	}
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: task}}
}

// ShutdownGuest asks the guest and answers at once, as vCenter does: whether it goes down shows in its power state.
func (m *machine) ShutdownGuest(ctx *simulator.Context, _ *types.ShutdownGuest) soap.HasFault {
	if fault := m.askGuest(ctx, "shutdown"); fault != nil {
		return refuse(fault)
	}
	return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
}

func (m *machine) RebootGuest(ctx *simulator.Context, _ *types.RebootGuest) soap.HasFault {
	if fault := m.askGuest(ctx, "reboot"); fault != nil {
		return refuse(fault)
	}
	return &methods.RebootGuestBody{Res: &types.RebootGuestResponse{}}
}

func (m *machine) askGuest(ctx *simulator.Context, verb string) types.BaseMethodFault {
	if !m.on(ctx) {
		return &types.InvalidPowerState{RequestedState: powerState(true), ExistingState: powerState(false)}
	}
	if !m.toolsRun(ctx) {
		return &types.ToolsUnavailable{}
	}
	go func() {
		if _, fault := m.effect(verb); fault == nil && m.center.current().Effects == noEffects {
			m.show(verb == "reboot", verb == "reboot")
		}
	}()
	return nil
}

// refused is the answer to a call that was not carried out.
type refused struct {
	Reason *soap.Fault `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

func (r *refused) Fault() *soap.Fault { return r.Reason }

func refuse(fault types.BaseMethodFault) soap.HasFault {
	return &refused{simulator.Fault(describe(fault), fault)}
}
