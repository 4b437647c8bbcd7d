package main

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// center is the whole of a running vCenter.
type center struct {
	config    *config
	service   *simulator.Service
	machines  map[types.ManagedObjectReference]*machine
	datastore *simulator.Datastore
	rules     rules
	lastID    atomic.Int64 // of tasks and snapshots

	mu       sync.Mutex
	settings settings
	pristine settings
}

// settings can be changed while it runs; see control.go.
type settings struct {
	Effects   string  `json:"effects"`    // "real", or "none": success is told and nothing done
	TaskDelay float64 `json:"task_delay"` // seconds before a task begins
	MaxDepth  int     `json:"max_depth"`  // of a chain of snapshots
	Room      int64   `json:"room"`       // bytes that are free without any snapshot
}

// maxDepth is vSphere's limit ("Snapshot Limitations" in its administration guide).
const maxDepth = 32

func newCenter(config *config) (*center, error) {
	model := simulator.VPX()
	// One cluster of one host with one datastore; its machines are ours.
	model.Host, model.ClusterHost, model.Machine, model.Portgroup = 0, 1, 0, 0
	if err := model.Create(); err != nil {
		return nil, err
	}
	c := &center{config: config, service: model.Service, machines: map[types.ManagedObjectReference]*machine{}}
	c.settings = settings{Effects: config.Effects, MaxDepth: maxDepth, Room: config.Capacity}
	c.pristine = c.settings
	// So that no reference of an earlier process ever means something else in this one.
	c.lastID.Store(time.Now().UnixMilli())
	if err := c.populate(); err != nil {
		return nil, err
	}
	c.guard()
	c.letIdle(sessionIdle)
	c.refresh()
	return c, nil
}

// populate makes one virtual machine per host.
func (c *center) populate() error {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, c.service)
	if err != nil {
		return err
	}
	finder := find.NewFinder(client)
	dc, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	pool, err := finder.DefaultResourcePool(ctx)
	if err != nil {
		return err
	}
	store, err := finder.DefaultDatastore(ctx)
	if err != nil {
		return err
	}
	c.datastore = c.registry().Get(store.Reference()).(*simulator.Datastore)
	var mends sync.WaitGroup
	for i := range c.config.Machines {
		made, err := c.create(ctx, folders, pool, store, &c.config.Machines[i])
		if err != nil {
			return err
		}
		c.machines[made.Self] = made
		mends.Go(made.load)
	}
	mends.Wait()
	return nil
}

func (c *center) create(
	ctx context.Context, to *object.DatacenterFolders, pool *object.ResourcePool, store *object.Datastore, spec *machineSpec,
) (*machine, error) {
	devices, err := disk(store.Reference())
	if err != nil {
		return nil, err
	}
	task, err := to.VmFolder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name:         spec.Name,
		InstanceUuid: spec.InstanceUUID,
		Annotation:   spec.Notes,
		NumCPUs:      spec.CPUs,
		MemoryMB:     spec.MemoryMB,
		GuestId:      string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest),
		DeviceChange: devices,
		Files:        &types.VirtualMachineFileInfo{VmPathName: "[" + path.Base(store.InventoryPath) + "]"},
	}, pool, nil)
	if err != nil {
		return nil, err
	}
	done, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	plain := c.registry().Get(done.Result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	// Required by the schema, and left empty by the simulator: pyvmomi can't read that.
	plain.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
	plain.Runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
	plain.Summary.Runtime = plain.Runtime
	made := &machine{VirtualMachine: plain, center: c, spec: spec}
	c.registry().Put(made)
	return made, nil
}

// disk is the hardware that every machine has: a controller, and one disk that snapshots hold.
func disk(store types.ManagedObjectReference) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var devices object.VirtualDeviceList
	controller, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	made := devices.CreateDisk(controller.(types.BaseVirtualController), store, "")
	made.CapacityInKB = 8 << 20
	return append(devices, controller, made).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
}

func (c *center) registry() *simulator.Registry {
	return c.service.Context.Map
}

// context is for work outside a request. Never shared: the simulator's locks belong to a context.
func (c *center) context() *simulator.Context {
	return &simulator.Context{Context: context.Background(), Map: c.registry()}
}

func (c *center) current() settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// machineOf tells which machine an object belongs to; nil if to none.
func (c *center) machineOf(ref types.ManagedObjectReference) *machine {
	switch object := c.registry().Get(ref).(type) {
	case *snapshot:
		return c.machines[object.Vm]
	case *simulator.Task:
		return c.machines[*object.Info.Entity]
	}
	return c.machines[ref]
}

// guard lets in those users only that the lab made, and no other way than with a password.
func (c *center) guard() {
	c.service.Listen = &url.URL{Host: c.config.Listen, Path: vim25.Path, User: url.User("lab")}
	sessions := c.registry().SessionManager()
	sessions.ServiceHostName = c.config.Listen
	sessions.ValidLogin = func(login *types.Login) bool {
		user := c.user(login.UserName)
		return user != nil && subtle.ConstantTimeCompare([]byte(user.password), []byte(login.Password)) == 1
	}
	manager := c.registry().Get(*c.registry().Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content.AuthorizationManager)
	c.registry().Put(&authorization{manager.(*simulator.AuthorizationManager), c})
	c.registry().Handler = c.admit
}

// handler serves the API alone: none of the simulator's other endpoints.
func (c *center) handler() http.Handler {
	c.service.RegisterSDK(c.registry(), vim25.Path+"/vimService")
	c.service.ServeMux.HandleFunc(vim25.Path+"/vimServiceVersions.xml", c.service.ServiceVersions)
	return c.faulty(c.service.ServeMux)
}
