package engine

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
)

// unprivilegedPorts is the first port of a network namespace that needs no
// privilege.
const unprivilegedPorts = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// openResolverPort lets the router of a space listen on port 53 there without
// any capability. Nothing else runs in that namespace: instances have others.
func openResolverPort(path string) error {
	return inside(path, func() error { return os.WriteFile(unprivilegedPorts, []byte("53"), 0) })
}

// inside runs fn in a network namespace.
func inside(namespace string, fn func() error) error {
	done := make(chan error)
	go func() {
		// The thread is never unlocked, so it ends with this goroutine and
		// carries the namespace nowhere.
		runtime.LockOSThread()
		if err := enter(namespace); err != nil {
			done <- fmt.Errorf("enter %s: %w", namespace, err)
			return
		}
		done <- fn()
	}()
	return <-done
}

func enter(namespace string) error {
	ns, err := netns.GetFromPath(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	return netns.Set(ns)
}
