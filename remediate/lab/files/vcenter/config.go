package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// config is what the lab tells us; see remediate/lab/vcenter.py, which writes it.
type config struct {
	Listen      string        `json:"listen"`
	Certificate string        `json:"certificate"`
	Key         string        `json:"key"`
	Control     string        `json:"control"`
	Hook        []string      `json:"hook"` // a command; verb and machine are appended
	Effects     string        `json:"effects"`
	Capacity    int64         `json:"capacity"` // of the datastore, bytes
	Users       []userSpec    `json:"users"`
	Machines    []machineSpec `json:"machines"`
}

type userSpec struct {
	Name         string `json:"name"`
	PasswordFile string `json:"password_file"`
	ReadOnly     bool   `json:"read_only"`

	password string
}

type machineSpec struct {
	Name         string   `json:"name"`
	InstanceUUID string   `json:"instance_uuid"`
	Address      string   `json:"address"`
	Notes        string   `json:"notes"`
	CPUs         int32    `json:"cpus"`
	MemoryMB     int64    `json:"memory_mb"`
	Snapshots    string   `json:"snapshots"` // folder: one folder per snapshot, and tree.json
	Power        []string `json:"power"`     // control groups that are populated while it has power
	Tools        []string `json:"tools"`     // … and while its guest answers
}

func readConfig(file string) (*config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := new(config)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range c.Users {
		password, err := os.ReadFile(c.Users[i].PasswordFile)
		if err != nil {
			return nil, err
		}
		c.Users[i].password = strings.TrimSpace(string(password))
	}
	return c, nil
}
