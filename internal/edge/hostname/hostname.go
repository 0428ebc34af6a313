// Package hostname matches host names against the names that a host serves. The
// edge and the router both use it, so that the two cannot disagree about which
// name a connection belongs to.
package hostname

import (
	"fmt"
	"strings"
)

// Normal returns a host name in lower case, and whether it is one: at most 253
// bytes of letters, digits, '-' and '_' in labels of 1 to 63.
func Normal(name string) (string, bool) {
	if len(name) == 0 || len(name) > 253 {
		return "", false
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	return strings.ToLower(name), label > 0
}

// OfAuthority returns the host of an HTTP Host or :authority, without its port
// and without the dot that may end a full name.
func OfAuthority(authority string) string {
	name, _, _ := strings.Cut(authority, ":")
	return strings.TrimSuffix(name, ".")
}

// Map finds values by host name. "*.example.org" matches exactly one label, and
// a name given in full wins over it. The zero value is empty and ready.
type Map[V any] struct {
	exact     map[string]V
	wildcards map[string]V // by the name after "*."
}

// Add puts a name in lower case, or a wildcard, into the map. It refuses what is
// no such name and what is in the map already.
func (m *Map[V]) Add(pattern string, value V) error {
	if m.exact == nil {
		m.exact, m.wildcards = make(map[string]V), make(map[string]V)
	}
	names, name := m.exact, pattern
	if parent, ok := strings.CutPrefix(pattern, "*."); ok {
		names, name = m.wildcards, parent
	}
	if normal, ok := Normal(name); !ok || normal != name {
		return fmt.Errorf("%q is not a host name in lower case", pattern)
	}
	if _, taken := names[name]; taken {
		return fmt.Errorf("the name %s is there twice", pattern)
	}
	names[name] = value
	return nil
}

// Find returns the value of a name, in whatever case.
func (m *Map[V]) Find(name string) (value V, ok bool) {
	name, valid := Normal(name)
	if !valid {
		return value, false
	}
	if value, ok = m.exact[name]; ok {
		return value, true
	}
	_, parent, _ := strings.Cut(name, ".")
	value, ok = m.wildcards[parent]
	return value, ok
}
