package host

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// Listener is a TCP socket of the host's network that takes connections.
type Listener struct {
	Address netip.AddrPort
	User    int
}

// KernelListeners reads the kernel's tables, which everybody may.
func KernelListeners() (out []Listener, err error) {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(file, "6") {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if l, ok := parseListener(lines.Text()); ok {
				out = append(out, l)
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parseListener reads a line of the tables: "0: 0100007F:1538 00000000:0000 0A …
// uid". 0A is the state of those that listen.
func parseListener(line string) (Listener, bool) {
	f := strings.Fields(line)
	if len(f) < 8 || f[3] != "0A" {
		return Listener{}, false
	}
	host, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return Listener{}, false
	}
	for i := 0; i < len(raw); i += 4 { // words in the host's order, which is little endian
		slices.Reverse(raw[i : i+4])
	}
	address, ok := netip.AddrFromSlice(raw)
	n, perr := strconv.ParseUint(port, 16, 16)
	user, uerr := strconv.Atoi(f[7])
	if !ok || perr != nil || uerr != nil {
		return Listener{}, false
	}
	return Listener{netip.AddrPortFrom(address.Unmap(), uint16(n)), user}, true
}

// Declared are addresses that may be listened on, each as "127.0.0.1:5443" or
// ":22", which is port 22 of whatever address.
type Declared []string

// covers tells whether an address is among them.
func (d Declared) covers(a netip.AddrPort) bool {
	return slices.ContainsFunc(d, func(s string) bool {
		host, port, err := net.SplitHostPort(s)
		if err != nil || port != strconv.Itoa(int(a.Port())) {
			return false
		}
		if host == "" {
			return true
		}
		named, err := netip.ParseAddr(host)
		return err == nil && named.Unmap() == a.Addr() || host == "localhost" && a.Addr().IsLoopback()
	})
}

// sockets: the host listens where the platform does and where its operator
// declared it.
func sockets(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.sockets", Title: "The host listens where the platform does or its operator declared it, and nowhere else", Version: 1,
		Every: often, Try: func(context.Context) ([]compliance.Result, error) {
			list, err := c.Listeners()
			if err != nil {
				return nil, err
			}
			s := driver.NewSurvey("sockets")
			s.Look("", "TCP sockets of the host that listen", len(list))
			slices.SortFunc(list, func(a, b Listener) int { return cmp.Or(a.Address.Compare(b.Address), a.User-b.User) })
			for _, l := range slices.Compact(list) {
				if !c.Declared.covers(l.Address) {
					s.Found("", "listener", "Something of the user %d listens on %s, which nobody declared.", l.User, l.Address)
				}
			}
			return []compliance.Result{result(s.Parts[0], false)}, nil
		},
	}
}
