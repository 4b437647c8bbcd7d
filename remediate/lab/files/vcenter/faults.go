package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// unsetProperty is vCenter's answer to the reading of a property that has no value, such as the snapshot of a machine
// that has none; the simulator answers to another question, and pyvmomi fails.
const unsetProperty = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` +
	`<FetchResponse xmlns="urn:vim25"></FetchResponse></soapenv:Body></soapenv:Envelope>`

// Stages of a call at which a rule can act.
const (
	stageRequest = "request" // before it is carried out: the connection is cut, or the session ended
	stageCall    = "call"    // instead of being carried out: refused with a fault
	stageTask    = "task"    // on the task that it starts: delayed, failed, or made to vanish
	stageReply   = "reply"   // after it was carried out: the reply is delayed, or the connection cut
)

const (
	beforeEffect = false
	afterEffect  = true
)

// rule is one fault that a test has asked for.
type rule struct {
	Stage  string  `json:"stage"`
	Method string  `json:"method"` // as on the wire, such as CreateSnapshot_Task
	VM     string  `json:"vm"`     // empty: any
	Times  int     `json:"times"`  // how many calls it is good for
	Action string  `json:"action"` // "fault", "delay", "cut", "vanish" or "expire"
	Fault  string  `json:"fault"`  // name of a vim fault
	Late   bool    `json:"late"`   // the task fails, but its effect has been
	Delay  float64 `json:"delay"`  // seconds; also together with another action
}

// check refuses a rule that could never act.
func (r *rule) check() error {
	actions := map[string][]string{
		stageRequest: {"cut", "expire"},
		stageCall:    {"fault"},
		stageTask:    {"fault", "delay", "vanish"},
		stageReply:   {"cut", "delay"},
	}
	if !slices.Contains(actions[r.Stage], r.Action) {
		return fmt.Errorf("stage %q knows no action %q", r.Stage, r.Action)
	}
	if r.Action == "fault" && faultNamed(r.Fault) == nil {
		return fmt.Errorf("no vim fault is called %q", r.Fault)
	}
	if r.Method == "" || r.Times < 1 {
		return fmt.Errorf("a rule needs a method and how many times it acts")
	}
	return nil
}

func (r *rule) fault(late bool) types.BaseMethodFault {
	if r == nil || r.Action != "fault" || r.Late != late {
		return nil
	}
	return faultNamed(r.Fault)
}

func (r *rule) delay() time.Duration {
	if r == nil {
		return 0
	}
	return seconds(r.Delay)
}

func (r *rule) vanishes() bool { return r != nil && r.Action == "vanish" }
func (r *rule) cuts() bool     { return r != nil && r.Action == "cut" }

// faultNamed makes the vim fault of that name; nil if there is none.
func faultNamed(name string) types.BaseMethodFault {
	kind, known := types.TypeFunc()(name)
	if !known {
		return nil
	}
	fault, _ := reflect.New(kind).Interface().(types.BaseMethodFault)
	// What the schema requires of them; a client can't read them without.
	switch f := fault.(type) {
	case *types.TaskInProgress:
		f.Task = types.ManagedObjectReference{Type: "Task", Value: "task-0"}
	case *types.ManagedObjectNotFound:
		f.Obj = types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-0"}
	case *types.InvalidPowerState:
		f.ExistingState = types.VirtualMachinePowerStatePoweredOff
	case *types.FileLocked:
		f.File = "[lab] disk.vmdk"
	}
	return fault
}

// rules holds what tests have asked for, and counts the calls.
type rules struct {
	mu    sync.Mutex
	asked []*rule
	calls map[string]int
}

func (all *rules) add(r *rule) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.asked = append(all.asked, r)
}

func (all *rules) clear() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.asked, all.calls = nil, nil
}

// take finds the first rule for a call at a stage, and uses it up by one.
func (all *rules) take(stage, method, vm string) *rule {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, r := range all.asked {
		if r.Times > 0 && r.Stage == stage && r.Method == method && (r.VM == "" || r.VM == vm) {
			r.Times--
			return r
		}
	}
	return nil
}

func (all *rules) count(method, vm string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.calls == nil {
		all.calls = map[string]int{}
	}
	all.calls[strings.TrimSpace(method+" "+vm)]++
}

func (m *machine) name() string {
	if m == nil {
		return ""
	}
	return m.spec.Name
}

// faulty carries requests out, but for those that a rule is about.
func (c *center) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		call, err := simulator.UnmarshalBody(types.TypeFunc(), body)
		if err != nil { // no SOAP: the simulator answers
			next.ServeHTTP(w, r)
			return
		}
		vm := c.machineOf(call.This).name()
		c.rules.count(call.Name, vm)
		if before := c.rules.take(stageRequest, call.Name, vm); before.cuts() {
			panic(http.ErrAbortHandler)
		} else if before != nil {
			c.endSession(r)
		}
		reply := httptest.NewRecorder()
		next.ServeHTTP(reply, r)
		if strings.HasPrefix(call.Name, "RefreshDatastore") {
			c.refreshDatastore() // the simulator has just put in numbers of its own
		}
		said := reply.Body.Bytes()
		if call.Name == "Fetch" && bytes.Contains(said, []byte("<RetrievePropertiesExResponse")) {
			said = []byte(unsetProperty)
		}
		after := c.rules.take(stageReply, call.Name, vm)
		time.Sleep(after.delay())
		if after.cuts() {
			panic(http.ErrAbortHandler)
		}
		for name, values := range reply.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(reply.Code)
		if _, err := w.Write(said); err != nil {
			log.Printf("reply to %s: %v", call.Name, err)
		}
	})
}

// sessions tells the user of every open session, by key.
func (c *center) sessions() map[string]string {
	manager := c.registry().SessionManager()
	view := (&simulator.Session{Registry: simulator.NewRegistry(), Map: c.registry()}).Get(manager.Self)
	found := map[string]string{}
	for _, one := range view.(*simulator.SessionManager).SessionList {
		found[one.Key] = one.UserName
	}
	return found
}

func (c *center) endSession(r *http.Request) {
	if cookie, err := r.Cookie(soap.SessionCookieName); err == nil {
		c.endSessions(strings.Trim(cookie.Value, `"`))
	}
}

func (c *center) endSessions(keys ...string) {
	ctx := c.context()
	ctx.Session = &simulator.Session{}
	c.registry().SessionManager().TerminateSession(ctx, &types.TerminateSession{SessionId: keys})
}
