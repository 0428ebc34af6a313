package host

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
)

func TestParseListener(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 64001        0 1 1 0000000000000000 100 0 0 10 0", "127.0.0.1:5432"},
		{"   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1", "0.0.0.0:22"},
		{"   2: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 64002 0", "[::]:443"},
		{"   3: 0000000000000000FFFF00000100007F:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 64002 0", "127.0.0.1:443"},
		{"   4: 0100007F:1538 0100007F:9999 01 00000000:00000000 00:00000000 00000000 64001        0 1", ""},
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", ""},
		{"   5: 0100:1538 00000000:0000 0A x x x 0", ""},
		{"", ""},
	} {
		l, ok := parseListener(tt.line)
		if ok != (tt.want != "") || ok && l.Address.String() != tt.want {
			t.Errorf("%s: %v, %v", tt.line, l, ok)
		}
	}
}

func FuzzParseListener(f *testing.F) {
	f.Add("0: 0100007F:1538 00000000:0000 0A 0:0 0:0 0 64001 0")
	f.Add("0: 00:00 00 0A 0 0 0 x")
	f.Fuzz(func(t *testing.T, line string) {
		if l, ok := parseListener(line); ok && !l.Address.IsValid() {
			t.Errorf("%q becomes %+v", line, l)
		}
	})
}

func TestDeclared(t *testing.T) {
	d := Declared{":22", "127.0.0.1:5443", "[::1]:5444", "localhost:80", "nonsense", ":"}
	for address, want := range map[string]bool{
		"0.0.0.0:22": true, "[::]:22": true, "0.0.0.0:5443": false, "127.0.0.1:5443": true, "[::1]:5444": true,
		"127.0.0.2:5443": false, "127.0.0.1:80": true, "0.0.0.0:80": false, "127.0.0.1:1": false,
	} {
		if got := d.covers(netip.MustParseAddrPort(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestKernelListeners finds a listener of this process, and not when it is gone.
func TestKernelListeners(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	want := Listener{netip.MustParseAddrPort(l.Addr().String()), os.Getuid()}
	for _, there := range []bool{true, false} {
		list, err := KernelListeners()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(list, want) != there {
			t.Errorf("listening %v: %v among %v", there, want, list)
		}
		l.Close()
	}
}
