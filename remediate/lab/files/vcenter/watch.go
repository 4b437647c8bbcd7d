package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// watch keeps what the API shows true, also when somebody else switches a host or resets the lab.
func (c *center) watch(every time.Duration) {
	for range time.Tick(every) {
		c.refresh()
	}
}

func (c *center) refresh() {
	for _, m := range c.machines {
		m.refresh()
	}
	c.refreshDatastore()
}

// refresh reads the machine's state from the kernel, and which of its snapshots are there, from the disk.
func (m *machine) refresh() {
	if m.center.current().Effects == noEffects {
		return
	}
	m.mu.Lock()
	lost, toolsOff := m.lost(), m.toolsOff
	m.mu.Unlock()
	if len(lost) > 0 {
		m.change(func(t *tree) { t.remove(lost) })
	}
	on := populated(m.spec.Power)
	m.show(on, on && !toolsOff && populated(m.spec.Tools))
}

// populated tells whether a process is in any of the control groups, or below.
func populated(groups []string) bool {
	for _, group := range groups {
		if procs, err := os.ReadFile(filepath.Join(group, "cgroup.procs")); err == nil && len(procs) > 0 {
			return true
		}
		entries, _ := os.ReadDir(group)
		for _, entry := range entries {
			if entry.IsDir() && populated([]string{filepath.Join(group, entry.Name())}) {
				return true
			}
		}
	}
	return false
}

// show makes the API show whether the machine has power and whether its Tools run.
func (m *machine) show(on, tools bool) {
	running := types.VirtualMachineToolsRunningStatusGuestToolsNotRunning
	status, state := types.VirtualMachineToolsStatusToolsNotRunning, types.VirtualMachineGuestStateNotRunning
	if tools {
		running = types.VirtualMachineToolsRunningStatusGuestToolsRunning
		status, state = types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineGuestStateRunning
	}
	ctx := m.center.context()
	same := false
	ctx.WithLock(m, func() {
		same = m.Runtime.PowerState == powerState(on) && m.Guest.ToolsRunningStatus == string(running)
	})
	if same {
		return
	}
	ctx.AutoUpdate(m, func() {
		if m.Runtime.PowerState != powerState(on) {
			m.Runtime.PowerState, m.Runtime.BootTime = powerState(on), nil
			if on {
				m.Runtime.BootTime = types.NewTime(time.Now())
			}
		}
		m.Summary.Runtime = m.Runtime
		guest := types.GuestInfo{
			ToolsStatus:         status,
			ToolsRunningStatus:  string(running),
			ToolsVersionStatus2: string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged),
			GuestState:          string(state),
			GuestFullName:       m.Config.GuestFullName,
			GuestId:             m.Config.GuestId,
		}
		if tools {
			guest.HostName, guest.IpAddress = m.spec.Name, m.spec.Address
			guest.Net = []types.GuestNicInfo{{IpAddress: []string{m.spec.Address}, Connected: true, DeviceConfigId: -1}}
		}
		m.Guest = &guest
		m.Summary.Guest = &types.VirtualMachineGuestSummary{
			GuestId:             guest.GuestId,
			GuestFullName:       guest.GuestFullName,
			ToolsStatus:         guest.ToolsStatus,
			ToolsRunningStatus:  guest.ToolsRunningStatus,
			ToolsVersionStatus2: guest.ToolsVersionStatus2,
			HostName:            guest.HostName,
			IpAddress:           guest.IpAddress,
		}
	})
}

// free is what the snapshots have left of the datastore, in bytes.
func (c *center) free() int64 {
	return max(0, c.current().Room-c.used())
}

func (c *center) used() int64 {
	var used int64
	for _, m := range c.machines {
		m.mu.Lock()
		for _, r := range m.tree.Records {
			used += r.Bytes
		}
		m.mu.Unlock()
	}
	return used
}

func (c *center) refreshDatastore() {
	free, ds := c.free(), c.datastore
	ctx := c.context()
	same := false
	ctx.WithLock(ds, func() { same = ds.Summary.FreeSpace == free && ds.Summary.Capacity == c.config.Capacity })
	if same {
		return
	}
	ctx.AutoUpdate(ds, func() {
		ds.Summary.FreeSpace, ds.Summary.Capacity = free, c.config.Capacity
		info := ds.Info.GetDatastoreInfo()
		info.FreeSpace, info.Timestamp = free, types.NewTime(time.Now())
	})
}
