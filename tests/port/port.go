// Package port gives tests ports to listen on that nobody else takes.
//
// A port that the kernel chose is one that it may give to any connection of the
// machine as soon as the test lets go of it, before the server under test listens
// or while it starts anew. Those given here lie below the kernel's range
// (net.ipv4.ip_local_port_range, from 32768 on), and each is a test's alone, among
// all test programs of the machine, until the test ends.
//
// Tests of servers that are told where to listen call it.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

const first, count = 20000, 12000

// Free is a TCP port that nobody listens on, on any address.
func Free(t testing.TB) int {
	t.Helper()
	for range 200 {
		p := first + rand.IntN(count)
		if claim(t, p) {
			return p
		}
	}
	t.Fatal("no free port found")
	return 0
}

// Address is a free port of the loopback address: 127.0.0.1:PORT.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Free(t)))
}

// claim tells whether the port is the test's now. A socket without a file stands
// for the port, so that a claim ends with the program that made it.
func claim(t testing.TB, p int) bool {
	held, err := net.Listen("unix", fmt.Sprintf("@strongroom-test-port-%d", p))
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp", ":"+strconv.Itoa(p))
	if err != nil {
		held.Close()
		return false
	}
	l.Close()
	t.Cleanup(func() { held.Close() })
	return true
}
