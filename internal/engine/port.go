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
	done := make(chan error)
	go func() {
		// The thread is never unlocked, so it ends with this goroutine and
		// carries the namespace nowhere.
		runtime.LockOSThread()
		done <- writeInside(path, unprivilegedPorts, "53")
	}()
	return <-done
}

func writeInside(namespace, file, value string) error {
	ns, err := netns.GetFromPath(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	return os.WriteFile(file, []byte(value), 0)
}
