package evidence

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/ledger"
)

// people is a summary of who did what in the period.
type people struct {
	About
	People []*person
	Roles  []*roleCount
}

// person is one actor: somebody, a part of the platform, or nobody known.
type person struct {
	Kind, Email string
	Roles       string           // as last seen
	Did         map[string]int64 // by action
	Total       int64
	Denied      int64
}

// Actions that the person appears with, in order.
func (p *person) Actions() []string { return slices.Sorted(maps.Keys(p.Did)) }

type roleCount struct {
	Role string
	times
}

// times is of what was done, and how much of that was denied.
type times struct{ Total, Denied int64 }

// tally counts while entries go by.
type tally struct {
	people  map[[2]string]*person // by kind and address
	roles   map[string]*roleCount
	actions map[string]*times // of everybody
}

func newTally() tally {
	return tally{map[[2]string]*person{}, map[string]*roleCount{}, map[string]*times{}}
}

// summary is what was counted, in order.
func (t *tally) summary(a About) people {
	out := people{About: a, People: slices.Collect(maps.Values(t.people)), Roles: slices.Collect(maps.Values(t.roles))}
	slices.SortFunc(out.People, func(a, b *person) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Email, b.Email))
	})
	slices.SortFunc(out.Roles, func(a, b *roleCount) int { return strings.Compare(a.Role, b.Role) })
	return out
}

// add counts an entry of the period: once, in however many reports it is.
func (t *tally) add(b *ledger.Body) {
	// An entry of equal denials says how many it stands for.
	n, denied := max(b.Count, 1), int64(0)
	if b.Outcome == ledger.Denied {
		denied = n
	}
	who := [2]string{string(b.Actor.Kind), b.Actor.Email}
	x := t.people[who]
	if x == nil {
		x = &person{Kind: who[0], Email: who[1], Did: map[string]int64{}}
		t.people[who] = x
	}
	x.Did[b.Action] += n
	x.Total += n
	x.Denied += denied
	if t.actions[b.Action] == nil {
		t.actions[b.Action] = &times{}
	}
	t.actions[b.Action].Total += n
	t.actions[b.Action].Denied += denied
	roles := b.Actor.Roles
	if len(roles) > 0 {
		x.Roles = strings.Join(roles, ", ")
	} else {
		roles = []string{""}
	}
	for _, role := range roles {
		if t.roles[role] == nil {
			t.roles[role] = &roleCount{Role: role}
		}
		t.roles[role].Total += n
		t.roles[role].Denied += denied
	}
}
