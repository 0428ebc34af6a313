package engine

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// hostResolvers reads the DNS servers of the host, which the engine asks as any
// program on it does.
func hostResolvers(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return []string{}
	}
	defer f.Close()
	list := []string{}
	for in := bufio.NewScanner(f); in.Scan(); {
		words := strings.Fields(in.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a, 53).String())
		}
	}
	return list
}
