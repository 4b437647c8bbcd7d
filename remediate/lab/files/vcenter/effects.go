package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os/exec"
	"syscall"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	noEffects = "none"
	patience  = 2 * time.Minute
)

// outcome is what the hook prints: one JSON object.
type outcome struct {
	Bytes   int64  `json:"bytes"`   // that a new snapshot takes
	Fault   string `json:"fault"`   // name of a vim fault, if it failed
	Message string `json:"message"` // and why
}

// effect does something to the host and waits for it.
//
// After a failure, also the hook's death, the hook is asked to mend: to thaw the host and to remove what is half done.
func (m *machine) effect(verb string, args ...string) (outcome, types.BaseMethodFault) {
	if m.center.current().Effects == noEffects {
		return outcome{}, nil
	}
	done, err := m.hook(verb, args...)
	if err == nil {
		return done, nil
	}
	log.Printf("%s %s: %v", verb, m.spec.Name, err)
	m.mend()
	if fault := faultNamed(done.Fault); fault != nil {
		return done, fault
	}
	return done, &types.SystemError{Reason: fmt.Sprintf("%s %s: %v", verb, m.spec.Name, err)}
}

// mend tidies the host up, after a crash too: only the snapshots that we know stay.
func (m *machine) mend() {
	if _, err := m.hook("mend", m.snapshots()...); err != nil {
		log.Printf("mend %s: %v", m.spec.Name, err)
	}
}

func (m *machine) hook(verb string, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	words := append(append([]string{}, m.center.config.Hook...), verb, m.spec.Name)
	command := exec.CommandContext(ctx, words[0], append(words[1:], args...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	err := command.Run()
	if command.Process != nil {
		endGroup(command.Process.Pid)
	}
	var done outcome
	if parsed := json.Unmarshal(out.Bytes(), &done); parsed != nil && err == nil {
		err = parsed
	}
	if err != nil {
		return done, fmt.Errorf("%w: %s%s", err, done.Message, tail(complaint.String()))
	}
	return done, nil
}

// endGroup ends what a hook that was killed has left behind, such as a copy that still writes, and waits for it.
// The hosts that it has started are in sessions of their own.
func endGroup(pid int) {
	for range 200 {
		if syscall.Kill(-pid, syscall.SIGKILL) != nil {
			return // nobody is left
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func tail(text string) string {
	const most = 500
	if len(text) > most {
		return text[len(text)-most:]
	}
	return text
}
