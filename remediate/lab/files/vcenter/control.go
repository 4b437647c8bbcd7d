package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// sessionIdle is vCenter's default.
const sessionIdle = 30 * time.Minute

// request is one line on the control socket; one line answers it. See remediate/lab/vcenter_faults.py.
type request struct {
	Do       string          `json:"do"` // "rule", "clear", "settings", "machine", "calls" or "expire"
	Rule     *rule           `json:"rule"`
	Settings json.RawMessage `json:"settings"`
	Free     *int64          `json:"free"` // bytes
	Idle     float64         `json:"idle"` // seconds that a new session may idle
	Machine  *wish           `json:"machine"`
}

// wish is what a test wants a machine to look like; absent parts stay.
type wish struct {
	Name          string    `json:"name"`
	Consolidation *bool     `json:"consolidation_needed"`
	Disabled      *[]string `json:"disabled"`
	ToolsOff      *bool     `json:"tools_off"`
	Gone          *bool     `json:"gone"`
	UUID          *string   `json:"instance_uuid"`
}

type answer struct {
	Error string         `json:"error,omitempty"`
	Calls map[string]int `json:"calls,omitempty"`
}

// serveControl opens the socket, which nobody but its owner can use.
func (c *center) serveControl() error {
	if err := os.Remove(c.config.Control); err != nil && !os.IsNotExist(err) {
		return err
	}
	old := syscall.Umask(0o177)
	listener, err := net.Listen("unix", c.config.Control)
	syscall.Umask(old)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				log.Printf("control: %v", err)
				return
			}
			go c.converse(connection)
		}
	}()
	return nil
}

func (c *center) converse(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		var asked request
		var said answer
		err := json.Unmarshal(lines.Bytes(), &asked)
		if err == nil {
			said, err = c.obey(&asked)
		}
		if err != nil {
			said.Error = err.Error()
		}
		if err := json.NewEncoder(connection).Encode(said); err != nil {
			return
		}
	}
}

func (c *center) obey(asked *request) (answer, error) {
	switch asked.Do {
	case "rule":
		if err := asked.Rule.check(); err != nil {
			return answer{}, err
		}
		c.rules.add(asked.Rule)
	case "clear":
		c.clear()
	case "settings":
		return answer{}, c.set(asked)
	case "machine":
		return answer{}, c.alter(asked.Machine)
	case "calls":
		c.rules.mu.Lock()
		defer c.rules.mu.Unlock()
		return answer{Calls: maps.Clone(c.rules.calls)}, nil
	case "expire":
		c.endSessions(slices.Collect(maps.Keys(c.sessions()))...)
	default:
		return answer{}, fmt.Errorf("cannot do %q", asked.Do)
	}
	return answer{}, nil
}

// clear takes back whatever a test has asked for.
func (c *center) clear() {
	c.rules.clear()
	c.mu.Lock()
	c.settings = c.pristine
	c.mu.Unlock()
	c.letIdle(sessionIdle)
	no, none := false, []string{}
	for _, m := range c.machines {
		m.grant(&wish{Consolidation: &no, Disabled: &none, ToolsOff: &no, Gone: &no, UUID: &m.spec.InstanceUUID})
	}
	c.refresh()
}

func (c *center) set(asked *request) error {
	c.mu.Lock()
	if asked.Settings != nil {
		if err := json.Unmarshal(asked.Settings, &c.settings); err != nil {
			c.mu.Unlock()
			return err
		}
	}
	c.mu.Unlock()
	if asked.Free != nil {
		used := c.used()
		c.mu.Lock()
		c.settings.Room = *asked.Free + used
		c.mu.Unlock()
	}
	if asked.Idle > 0 {
		c.letIdle(seconds(asked.Idle))
	}
	c.refresh()
	return nil
}

// letIdle sets how long a session lasts that nobody uses; for those that begin after it.
func (c *center) letIdle(most time.Duration) {
	c.registry().OptionManager().UpdateOptions(&types.UpdateOptions{ChangedValue: []types.BaseOptionValue{
		&types.OptionValue{Key: "config.vmacore.soap.sessionTimeout", Value: most.String()},
	}})
}

func (c *center) alter(wanted *wish) error {
	for _, m := range c.machines {
		if m.spec.Name == wanted.Name {
			m.grant(wanted)
			return nil
		}
	}
	return fmt.Errorf("no machine is called %q", wanted.Name)
}

func (m *machine) grant(wanted *wish) {
	ctx := m.center.context()
	if wanted.Gone != nil {
		m.vanish(ctx, *wanted.Gone)
	}
	if wanted.ToolsOff != nil {
		m.mu.Lock()
		m.toolsOff = *wanted.ToolsOff
		m.mu.Unlock()
	}
	ctx.AutoUpdate(m, func() {
		if wanted.Consolidation != nil {
			m.Runtime.ConsolidationNeeded = *wanted.Consolidation
			m.Summary.Runtime.ConsolidationNeeded = *wanted.Consolidation
		}
		if wanted.Disabled != nil {
			m.DisabledMethod = *wanted.Disabled
		}
		if wanted.UUID != nil {
			m.Config.InstanceUuid, m.Summary.Config.InstanceUuid = *wanted.UUID, *wanted.UUID
		}
	})
	m.refresh()
}

func (m *machine) isGone() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gone
}

// vanish takes the machine out of the inventory, as if somebody had unregistered it, or puts it back.
func (m *machine) vanish(ctx *simulator.Context, gone bool) {
	m.mu.Lock()
	before := m.gone
	m.gone = gone
	m.mu.Unlock()
	if before == gone {
		return
	}
	registry := m.center.registry()
	folder := registry.Get(*m.Parent).(*simulator.Folder)
	if gone {
		registry.RemoveReference(ctx, folder, &folder.ChildEntity, m.Self)
		registry.Remove(ctx, m.Self)
		return
	}
	registry.Put(m)
	registry.AppendReference(ctx, folder, &folder.ChildEntity, m.Self)
}
