// The lab's vCenter: govmomi's simulator, whose machines are the lab's hosts.
//
// What the simulator only pretends is done here: a snapshot copies a host's disk, a revert puts it back, power
// switches the host. What it never refuses is refused here: by privilege, by depth of the chain, by free space,
// or because a test has asked for a fault.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	watchEvery   = 200 * time.Millisecond
	headerWithin = 10 * time.Second
)

func main() {
	file := flag.String("config", "", "JSON file that `remediate lab up` wrote")
	flag.Parse()
	if err := run(*file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until it is killed: whatever has to outlive it is on disk already.
func run(file string) error {
	config, err := readConfig(file)
	if err != nil {
		return err
	}
	c, err := newCenter(config)
	if err != nil {
		return err
	}
	if err := c.serveControl(); err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(config.Certificate, config.Key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	go c.watch(watchEvery)
	server := &http.Server{
		Handler:           c.handler(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: headerWithin,
	}
	log.Printf("serving %d machines at %s", len(c.machines), config.Listen)
	return server.ServeTLS(listener, "", "")
}
