package view

import "strings"

// Expand is a set of members that a client asked to see in full
// (Accept-Expansion) or in addition (Accept-Inclusion).
type Expand map[string]bool

// maxExpand bounds what one header may name.
const maxExpand = 16

// ParseExpand reads a comma-separated header value. Names that nobody knows
// are harmless.
func ParseExpand(header string) Expand {
	out := Expand{}
	for i, name := range strings.SplitN(header, ",", maxExpand+1) {
		if name = strings.TrimSpace(name); name != "" && i < maxExpand {
			out[name] = true
		}
	}
	return out
}

// Has tells whether the member was named.
func (e Expand) Has(name string) bool { return e[name] }
