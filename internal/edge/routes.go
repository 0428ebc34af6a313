package edge

import (
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/edge/cidr"
	"github.com/strongroom/strongroom/internal/edge/handover"
	"github.com/strongroom/strongroom/internal/edge/hostname"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxSocketPath is what fits into a unix socket address.
const maxSocketPath = 107

// routes is a compiled Table. It does not change, except for the counters of
// its spaces.
type routes struct {
	digest  string
	spaces  map[string]*space // by id
	names   hostname.Map[*space]
	trusted cidr.Set // of all spaces together
}

// space is one row. Its link and counters live on in later tables.
type space struct {
	id      string
	trusted cidr.Set
	link    *handover.Link
	socket  string
	count   *counters
}

// compile checks the whole table. Spaces that were in the old routes (nil at
// first) with the same socket keep their link, and all keep their counters.
func compile(table Table, old *routes) (*routes, error) {
	r := &routes{digest: table.Digest(), spaces: make(map[string]*space, len(table.Spaces))}
	all := []string{}
	for _, row := range table.Spaces {
		s, err := compileSpace(row, old)
		if err == nil {
			err = r.add(s, row.Hostnames)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, row.Trusted...)
	}
	var err error
	r.trusted, err = cidr.Parse(all)
	return r, err
}

func compileSpace(row Space, old *routes) (*space, error) {
	if row.ID == "" {
		return nil, fault.New(fault.Invalid, "a space has no id")
	}
	if !filepath.IsAbs(row.Socket) || len(row.Socket) > maxSocketPath || strings.ContainsRune(row.Socket, 0) {
		return nil, fault.New(fault.Invalid, "space %s: the socket must be an absolute path of at most %d bytes", row.ID, maxSocketPath)
	}
	trusted, err := cidr.Parse(row.Trusted)
	if err != nil {
		return nil, fault.New(fault.Invalid, "space %s: %v", row.ID, err)
	}
	s := &space{id: row.ID, trusted: trusted, socket: row.Socket}
	if old != nil {
		if before := old.spaces[row.ID]; before != nil {
			s.count = before.count
			if before.socket == row.Socket {
				s.link = before.link
			}
		}
	}
	if s.count == nil {
		s.count = newCounters()
	}
	if s.link == nil {
		s.link = handover.NewLink(row.Socket)
	}
	return s, nil
}

func (r *routes) add(s *space, hostnames []string) error {
	if _, taken := r.spaces[s.id]; taken {
		return fault.New(fault.Invalid, "space %s is in the table twice", s.id)
	}
	r.spaces[s.id] = s
	for _, name := range hostnames {
		if err := r.names.Add(name, s); err != nil {
			return fault.New(fault.Invalid, "space %s: %v", s.id, err)
		}
	}
	return nil
}

// find returns the space that serves a name, or nil.
func (r *routes) find(name string) *space {
	found, _ := r.names.Find(name)
	return found
}

// closeLinks closes the links that later does not use any more.
func (r *routes) closeLinks(later *routes) {
	for id, s := range r.spaces {
		if now := later.spaces[id]; now == nil || now.link != s.link {
			s.link.Close()
		}
	}
}
