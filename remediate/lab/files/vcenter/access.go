package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// privilege that each method needs (vSphere Web Services API reference, "Required Privileges").
var privilege = map[string]string{
	"CreateSnapshot_Task":          "VirtualMachine.State.CreateSnapshot",
	"RevertToSnapshot_Task":        "VirtualMachine.State.RevertToSnapshot",
	"RevertToCurrentSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
	"RemoveSnapshot_Task":          "VirtualMachine.State.RemoveSnapshot",
	"RemoveAllSnapshots_Task":      "VirtualMachine.State.RemoveSnapshot",
	"PowerOnVM_Task":               "VirtualMachine.Interact.PowerOn",
	"PowerOffVM_Task":              "VirtualMachine.Interact.PowerOff",
	"ShutdownGuest":                "VirtualMachine.Interact.PowerOff",
	"ResetVM_Task":                 "VirtualMachine.Interact.Reset",
	"RebootGuest":                  "VirtualMachine.Interact.Reset",
	"TerminateSession":             "Sessions.TerminateSession",
}

// What a change of a machine needs depends on what is changed.
const (
	changeCPUs   = "VirtualMachine.Config.CPUCount"
	changeMemory = "VirtualMachine.Config.Memory"
	changeNotes  = "VirtualMachine.Config.Annotation"
)

// granted to users who may do more than read: all that the lab has a use for.
var granted = append(slices.Collect(maps.Values(privilege)), changeCPUs, changeMemory, changeNotes)

// reading lists how the names of methods begin that need no more than every role has.
var reading = []string{
	"Retrieve", "Continue", "Cancel", "Fetch", "Find", "Has", "Query", "Read", "Rewind", "Wait", "Check", "Current",
	"Refresh", "SessionIsActive", "Logout", "CreateFilter", "CreatePropertyCollector", "CreateContainerView",
	"CreateListView", "CreateInventoryView", "CreateCollector", "DestroyView", "DestroyProperty", "DestroyCollector",
}

// opening lists what is allowed without a session: to log in, and to read what is needed for that.
var opening = []string{"Login", "RetrieveServiceContent"}

// backDoors are logins of the simulator that prove nothing: it takes any token and any certificate.
var backDoors = []string{"LoginByToken", "LoginExtensionByCertificate", "CloneSession", "ImpersonateUser"}

// admit decides about every call before it is carried out.
func (c *center) admit(ctx *simulator.Context, call *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	m := c.machineOf(call.This)
	if rule := c.rules.take(stageCall, call.Name, m.name()); rule != nil {
		return nil, rule.fault(beforeEffect)
	}
	if slices.Contains(backDoors, call.Name) {
		return nil, &types.InvalidLogin{}
	}
	if ctx.Session == nil {
		return nil, c.admitStranger(call)
	}
	if call.Name == "CancelTask" {
		return nil, &types.NotSupported{} // none of our tasks is cancelable
	}
	if needs := required(call); !c.grants(ctx.Session.UserName, needs) {
		return nil, &types.NoPermission{Object: &call.This, PrivilegeId: needs}
	}
	if m != nil && m.isGone() {
		return nil, &types.ManagedObjectNotFound{Obj: call.This} // its snapshots are unknown with it
	}
	if m != nil && slices.Contains(m.DisabledMethod, call.Name) {
		return nil, &types.MethodDisabled{Source: "lab"}
	}
	return nil, nil
}

// admitStranger lets nobody read before a login; the simulator would.
func (c *center) admitStranger(call *simulator.Method) types.BaseMethodFault {
	if slices.Contains(opening, call.Name) {
		return nil
	}
	for _, ref := range touched(call) {
		if ref.Type != "ServiceInstance" {
			return &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &ref, PrivilegeId: "System.View"}}
		}
	}
	return nil // the simulator refuses what is no reading
}

// touched names the objects that a call reads.
func touched(call *simulator.Method) []types.ManagedObjectReference {
	var specs []types.PropertyFilterSpec
	switch body := call.Body.(type) {
	case *types.RetrievePropertiesEx:
		specs = body.SpecSet
	case *types.RetrieveProperties:
		specs = body.SpecSet
	default: // Fetch is addressed to the object itself
		return []types.ManagedObjectReference{
			reflect.ValueOf(call.Body).Elem().FieldByName("This").Interface().(types.ManagedObjectReference),
		}
	}
	var refs []types.ManagedObjectReference
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			refs = append(refs, object.Obj)
		}
	}
	return refs
}

func required(call *simulator.Method) string {
	if slices.ContainsFunc(reading, func(prefix string) bool { return strings.HasPrefix(call.Name, prefix) }) {
		return "System.Read"
	}
	if needs, known := privilege[call.Name]; known {
		return needs
	}
	if change, is := call.Body.(*types.ReconfigVM_Task); is {
		switch {
		case change.Spec.NumCPUs != 0:
			return changeCPUs
		case change.Spec.MemoryMB != 0:
			return changeMemory
		}
		return changeNotes
	}
	return "Global.Settings" // which nobody has: the lab's machines are made and changed by the lab
}

// grants tells whether a user's role has a privilege.
func (c *center) grants(name, id string) bool {
	user := c.user(name)
	if user == nil {
		return false
	}
	if strings.HasPrefix(id, "System.") {
		return true
	}
	return !user.ReadOnly && slices.Contains(granted, id)
}

func (c *center) user(name string) *userSpec {
	for i := range c.config.Users {
		if c.config.Users[i].Name == name {
			return &c.config.Users[i]
		}
	}
	return nil
}

func userOf(ctx *simulator.Context) string {
	if ctx.Session == nil {
		return ""
	}
	return ctx.Session.UserName
}

// authorization answers for our roles; the simulator grants everything to everybody.
type authorization struct {
	*simulator.AuthorizationManager
	center *center
}

func (a *authorization) judge(user string, entities []types.ManagedObjectReference, ids []string) []types.EntityPrivilege {
	var found []types.EntityPrivilege
	for _, entity := range entities {
		one := types.EntityPrivilege{Entity: entity}
		for _, id := range ids {
			has := types.PrivilegeAvailability{PrivId: id, IsGranted: a.center.grants(user, id)}
			one.PrivAvailability = append(one.PrivAvailability, has)
		}
		found = append(found, one)
	}
	return found
}

func (a *authorization) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{
		Returnval: a.judge(a.owner(ctx, req.SessionId), req.Entity, req.PrivId),
	}}
}

func (a *authorization) HasPrivilegeOnEntity(ctx *simulator.Context, req *types.HasPrivilegeOnEntity) soap.HasFault {
	var has []bool
	for _, id := range req.PrivId {
		has = append(has, a.center.grants(a.owner(ctx, req.SessionId), id))
	}
	return &methods.HasPrivilegeOnEntityBody{Res: &types.HasPrivilegeOnEntityResponse{Returnval: has}}
}

func (a *authorization) HasUserPrivilegeOnEntities(_ *simulator.Context, req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	return &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{
		Returnval: a.judge(req.UserName, req.Entities, req.PrivId),
	}}
}

func (a *authorization) FetchUserPrivilegeOnEntities(_ *simulator.Context, req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	var ids []string
	for _, id := range append([]string{"System.Anonymous", "System.Read", "System.View"}, granted...) {
		if a.center.grants(req.UserName, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var found []types.UserPrivilegeResult
	for _, entity := range req.Entities {
		found = append(found, types.UserPrivilegeResult{Entity: entity, Privileges: ids})
	}
	return &methods.FetchUserPrivilegeOnEntitiesBody{Res: &types.FetchUserPrivilegeOnEntitiesResponse{Returnval: found}}
}

// owner is the user of a session, by its key.
func (a *authorization) owner(ctx *simulator.Context, key string) string {
	if ctx.Session.Key == key {
		return ctx.Session.UserName
	}
	return a.center.sessions()[key]
}
