package network

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// What was refused on its way out is remembered for an hour by a set of the
// kernel, so many of them: others are only counted.
const (
	refusedSet  = "refused"
	maxRefused  = 512
	refusedTime = time.Hour
)

// remember is the part of a rule that keeps an attempt.
const remember = `meta l4proto { tcp, udp } update @` + refusedSet + ` { ip saddr . ip daddr . meta l4proto . th dport counter }`

// Refusal is what an endpoint tried to connect to outside of its space, and may
// not.
type Refusal struct {
	From, To netip.Addr
	Protocol string // "tcp" or "udp"
	Port     int
	Packets  uint64

	bytes, expires uint64 // seconds
}

func writeRefused(b *strings.Builder, have []Refusal) {
	fmt.Fprintf(b, "\tset %s {\n\t\ttype ipv4_addr . ipv4_addr . inet_proto . inet_service\n", refusedSet)
	fmt.Fprintf(b, "\t\tsize %d\n\t\tflags dynamic,timeout\n\t\ttimeout %ds\n", maxRefused, int(refusedTime.Seconds()))
	var elements []string
	for _, r := range have {
		elements = append(elements, fmt.Sprintf("%s . %s . %s . %d counter packets %d bytes %d timeout %ds expires %ds",
			r.From, r.To, r.Protocol, r.Port, r.Packets, r.bytes, int(refusedTime.Seconds()), r.expires))
	}
	if len(elements) > 0 {
		fmt.Fprintf(b, "\t\telements = { %s }\n", strings.Join(elements, ", "))
	}
	b.WriteString("\t}\n")
}

// refusals reads the set's elements. What it cannot read is not there: the set
// holds what packets said, and no rule rests on it.
func refusals(v any) []Refusal {
	list, _ := v.([]any)
	out := make([]Refusal, 0, len(list))
	for _, e := range list {
		if r, ok := refusal(e); ok {
			out = append(out, r)
		}
	}
	return out
}

func refusal(e any) (r Refusal, ok bool) {
	outer, _ := e.(map[string]any)
	inner, _ := outer["elem"].(map[string]any)
	value, _ := inner["val"].(map[string]any)
	parts, _ := value["concat"].([]any)
	count, _ := inner["counter"].(map[string]any)
	if len(parts) != 4 {
		return r, false
	}
	var errs [2]error
	r.From, errs[0] = netip.ParseAddr(fmt.Sprint(parts[0]))
	r.To, errs[1] = netip.ParseAddr(fmt.Sprint(parts[1]))
	r.Protocol, r.Port = fmt.Sprint(parts[2]), int(number(parts[3]))
	r.Packets, r.bytes, r.expires = number(count["packets"]), number(count["bytes"]), number(inner["expires"])
	return r, errs == [2]error{} && r.expires > 0 && (r.Protocol == "tcp" || r.Protocol == "udp")
}
