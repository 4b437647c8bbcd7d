package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// tree is what vCenter remembers of a machine's snapshots; a copy is kept on disk, beside them.
type tree struct {
	Records []record `json:"records"` // parents come before their children
	Current string   `json:"current"`
	LastID  int32    `json:"last_id"`
	Shape   *shape   `json:"shape"` // absent: as the lab made it
}

type record struct {
	Ref         string    `json:"ref"` // also the name of its folder
	Parent      string    `json:"parent"`
	ID          int32     `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Created     time.Time `json:"created"`
	On          bool      `json:"on"`
	Quiesced    bool      `json:"quiesced"`
	Bytes       int64     `json:"bytes"`
	Real        bool      `json:"real"` // false if made without effects: then there is nothing on disk
	Shape       shape     `json:"shape"`
}

func (r record) reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: r.Ref}
}

func (t *tree) add(made record) {
	t.LastID++
	made.ID, made.Parent = t.LastID, t.Current
	t.Records, t.Current = append(t.Records, made), made.Ref
}

// remove takes records out; their children move up to what is left above them.
func (t *tree) remove(refs []string) {
	above := map[string]string{}
	for _, r := range t.Records {
		above[r.Ref] = r.Parent
	}
	left := func(ref string) string {
		for slices.Contains(refs, ref) {
			ref = above[ref]
		}
		return ref
	}
	t.Records = slices.DeleteFunc(t.Records, func(r record) bool { return slices.Contains(refs, r.Ref) })
	for i := range t.Records {
		t.Records[i].Parent = left(t.Records[i].Parent)
	}
	t.Current = left(t.Current)
}

// children is the API's form of what hangs below a parent.
func (t *tree) children(vm types.ManagedObjectReference, parent string) []types.VirtualMachineSnapshotTree {
	var found []types.VirtualMachineSnapshotTree
	for _, r := range t.Records {
		if r.Parent == parent {
			found = append(found, types.VirtualMachineSnapshotTree{
				Snapshot:          r.reference(),
				Vm:                vm,
				Name:              r.Name,
				Description:       r.Description,
				Id:                r.ID,
				CreateTime:        r.Created,
				State:             powerState(r.On),
				Quiesced:          r.Quiesced,
				ReplaySupported:   types.NewBool(false),
				ChildSnapshotList: t.children(vm, r.Ref),
			})
		}
	}
	return found
}

func (m *machine) find(ref string) (record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.tree.Records, func(r record) bool { return r.Ref == ref })
	if at < 0 {
		return record{}, false
	}
	return m.tree.Records[at], true
}

func (m *machine) currentSnapshot() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tree.Current
}

// snapshots names all of them.
func (m *machine) snapshots() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []string
	for _, r := range m.tree.Records {
		refs = append(refs, r.Ref)
	}
	return refs
}

// below names a snapshot, and with `all` everything that hangs below it.
func (m *machine) below(ref string, all bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := []string{ref}
	for _, r := range m.tree.Records {
		if all && slices.Contains(refs, r.Parent) {
			refs = append(refs, r.Ref)
		}
	}
	return refs
}

// depth counts the snapshots from the root to the current one.
func (m *machine) depth() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ref := 0, m.tree.Current
	for i := len(m.tree.Records) - 1; i >= 0; i-- {
		if m.tree.Records[i].Ref == ref {
			n, ref = n+1, m.tree.Records[i].Parent
		}
	}
	return n
}

// change alters the tree, writes it to disk and shows it in the API.
func (m *machine) change(alter func(*tree)) {
	m.mu.Lock()
	alter(&m.tree)
	if err := m.save(); err != nil {
		log.Printf("%s: %v", m.spec.Name, err)
	}
	now := m.tree
	now.Records = slices.Clone(m.tree.Records)
	m.mu.Unlock()
	m.publish(now)
}

// save writes the tree whole or not at all.
func (m *machine) save() error {
	if m.center.current().Effects == noEffects {
		return nil
	}
	if err := os.MkdirAll(m.spec.Snapshots, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(m.tree)
	if err != nil {
		return err
	}
	part := filepath.Join(m.spec.Snapshots, "tree.json.part")
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(m.spec.Snapshots, "tree.json"))
}

// load reads what an earlier process has left.
func (m *machine) load() {
	text, err := os.ReadFile(filepath.Join(m.spec.Snapshots, "tree.json"))
	if err == nil {
		err = json.Unmarshal(text, &m.tree)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Printf("%s: %v", m.spec.Name, err)
	}
	m.tree.remove(m.lost())
	if m.tree.Shape != nil {
		m.take(*m.tree.Shape)
	}
	m.publish(m.tree)
	if _, err := os.Stat(m.spec.Snapshots); err == nil {
		m.mend()
	}
}

// lost names the snapshots whose copy is no longer there, such as after a reset of the lab.
func (m *machine) lost() []string {
	var refs []string
	for _, r := range m.tree.Records {
		if _, err := os.Stat(filepath.Join(m.spec.Snapshots, r.Ref)); r.Real && err != nil {
			refs = append(refs, r.Ref)
		}
	}
	return refs
}

// publish makes the API show a tree.
func (m *machine) publish(now tree) {
	ctx := m.center.context()
	known := map[types.ManagedObjectReference]bool{}
	for _, r := range now.Records {
		known[r.reference()] = true
		if m.center.registry().Get(r.reference()) == nil {
			made := &snapshot{center: m.center}
			made.Self, made.Vm = r.reference(), m.Self
			made.Config = *ctx.Checkpoint(m).(*mo.VirtualMachine).Config
			r.Shape.apply(&made.Config)
			m.center.registry().Put(made)
		}
	}
	ctx.AutoUpdate(m, func() {
		m.RootSnapshot, m.Snapshot = nil, nil
		if len(now.Records) == 0 {
			return
		}
		current := record{Ref: now.Current}.reference()
		m.Snapshot = &types.VirtualMachineSnapshotInfo{
			CurrentSnapshot: &current, RootSnapshotList: now.children(m.Self, ""),
		}
		for _, root := range m.Snapshot.RootSnapshotList {
			m.RootSnapshot = append(m.RootSnapshot, root.Snapshot)
		}
	})
	for _, object := range m.center.registry().AllReference("VirtualMachineSnapshot") {
		if s, ok := object.(*snapshot); ok && s.Vm == m.Self && !known[s.Self] {
			m.center.registry().Remove(ctx, s.Self)
		}
	}
}
