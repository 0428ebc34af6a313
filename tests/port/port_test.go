package port

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestFree(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p := Free(t)
		if seen[p] {
			t.Errorf("%d was given twice", p)
		}
		seen[p] = true
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		from, _ := strconv.Atoi(strings.Fields(string(b))[0])
		if first+count > from {
			t.Errorf("the kernel gives ports from %d on away: those given here end at %d", from, first+count)
		}
	}
}

func TestClaim(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if claim(t, l.Addr().(*net.TCPAddr).Port) {
		t.Error("a port that is listened on was given")
	}
	var p int
	t.Run("one test", func(t *testing.T) {
		p = Free(t)
		if claim(t, p) {
			t.Error("a port was given twice")
		}
	})
	if !claim(t, p) {
		t.Error("the port was not given back when its test ended")
	}
}
