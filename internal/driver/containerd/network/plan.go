package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/strongroom/strongroom/internal/egress"
)

// The pool, a /10, is cut in two halves: the lower one into a /20 for each
// space's endpoints, the upper one into blocks of /22, of which an installation
// takes one for the veth pairs that lead out of its spaces.
const (
	poolBits   = 10
	subnetBits = 20
	maxSpaces  = 1 << (subnetBits - poolBits - 1)
	blockBits  = 22
	blocks     = 1 << (blockBits - poolBits - 1)

	firstEndpoint = 2
	lastEndpoint  = 1<<(32-subnetBits) - 2
)

var (
	defaultPool = egress.Pool
	// gateway is the only address besides other endpoints that an endpoint
	// sees: it lies on the loopback interface of every space's namespace.
	gateway = netip.MustParseAddr("169.254.1.1")
)

// subnet of the endpoints of the space with that index.
func subnet(pool netip.Prefix, index int) netip.Prefix {
	return netip.PrefixFrom(plus(pool.Addr(), index<<(32-subnetBits)), subnetBits)
}

// block is the n-th candidate for the addresses of uplinks.
func block(pool netip.Prefix, n int) netip.Prefix {
	upper := plus(pool.Addr(), 1<<(32-poolBits-1))
	return netip.PrefixFrom(plus(upper, n<<(32-blockBits)), blockBits)
}

// uplinkAddrs are the two ends of a space's uplink, the /31 of its index.
func uplinkAddrs(block netip.Prefix, index int) (host, space netip.Addr) {
	return plus(block.Addr(), 2*index), plus(block.Addr(), 2*index+1)
}

func plus(a netip.Addr, n int) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
	return netip.AddrFrom4(b)
}

// linkName is the name, in the space's namespace, of the veth of the endpoint
// whose address is the n-th of the subnet.
func linkName(n int) string { return "i" + strconv.Itoa(n) }

// linkOrdinal is the reverse of linkName; ok is false for other names.
func linkOrdinal(name string) (n int, ok bool) {
	if len(name) < 2 || name[0] != 'i' {
		return 0, false
	}
	n, err := strconv.Atoi(name[1:])
	return n, err == nil && n >= firstEndpoint && n <= lastEndpoint && linkName(n) == name
}

// uplinkName is the host's end of a space's uplink.
func uplinkName(installation string, index int) string {
	return fmt.Sprintf("%s-%d", installation, index)
}
