package names

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Why a name has no answer.
const (
	Unlisted = "unlisted" // no rule covers it
	Inside   = "inside"   // its answer led to where nothing of a space may go
)

// What was refused is remembered for an hour, so many of them: others are
// forgotten.
const (
	maxRefused  = 512
	refusedTime = time.Hour
)

// Refusal is a name that somebody in the space asked for, and has no answer.
type Refusal struct {
	From      netip.Addr
	Name      string // what is fit to be put on record of it
	Why       string
	Questions int64
}

// refusals counts them. The zero value is empty and ready.
type refusals struct {
	mu   sync.Mutex
	seen map[Refusal]*tries // by a Refusal without Questions
}

type tries struct {
	count int64
	last  time.Time
}

func (r *refusals) note(q question, why string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[Refusal]*tries{}
	}
	key := Refusal{From: q.client, Name: shown(q.name), Why: why}
	t := r.seen[key]
	if t == nil {
		if len(r.seen) >= maxRefused {
			r.forget(now)
		}
		if len(r.seen) >= maxRefused {
			return
		}
		t = &tries{}
		r.seen[key] = t
	}
	t.count++
	t.last = now
}

func (r *refusals) forget(now time.Time) {
	maps.DeleteFunc(r.seen, func(_ Refusal, t *tries) bool { return now.Sub(t.last) > refusedTime })
}

func (r *refusals) list(now time.Time) []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	out := make([]Refusal, 0, len(r.seen))
	for key, t := range r.seen {
		key.Questions = t.count
		out = append(out, key)
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Why, b.Why))
	})
	return out
}

// Bounds of what is shown of a name.
const (
	maxLabels = 4
	maxLabel  = 20
)

// shown is the end of a name as far as people choose names: who carries data out
// by names puts it into long labels or into many, and what is on record stays for
// years. What is left out is one star.
func shown(name string) string {
	labels := strings.Split(name, ".")
	at := len(labels)
	for at > 0 && len(labels)-at < maxLabels && len(labels[at-1]) <= maxLabel {
		at--
	}
	rest := strings.Join(labels[at:], ".")
	switch {
	case at == 0:
		return rest
	case rest == "":
		return "*"
	}
	return "*." + rest
}
