package attempt

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/probe"
	"github.com/strongroom/strongroom/internal/store"
)

// stale is how old a recorded attempt may be: later than twice its interval is
// late, as for any check.
const stale = 2 * probe.Every

// neighbours judges the attempts that package probe makes from inside of spaces
// and records: the state holds their newest results, so this is a function of it.
func neighbours(id, title, kind string) *compliance.Check {
	return &compliance.Check{
		ID: id, Title: title, Version: 1, Every: 10 * time.Minute, Reads: []string{"attempt.record", "space."},
		State: func(v store.View, now time.Time) (out []compliance.Result, err error) {
			spaces, err := store.Find[*document.Space](v, "all", "")
			if err != nil {
				return nil, err
			}
			for _, s := range spaces {
				if s.State != document.SpaceAllocated {
					continue
				}
				r, err := fromOthers(v, now, s, kind)
				if err != nil {
					return nil, err
				}
				out = append(out, r.Of(s.ID, s.ID, s.Name))
			}
			return out, nil
		},
	}
}

// fromOthers judges what was tried against one space.
func fromOthers(v store.View, now time.Time, s *document.Space, kind string) (r compliance.Result, err error) {
	listening, err := probe.Listening(v, s.ID)
	if err != nil {
		return r, err
	}
	attempts, err := store.Find[*document.Attempt](v, "scope", s.ID)
	if err != nil {
		return r, err
	}
	var t trial
	var seqs []int64
	there, late := 0, ""
	for _, target := range listening {
		if target.Kind != kind {
			continue
		}
		there++
		fresh := false
		for _, a := range attempts {
			if a.Name != target.Attempt() || a.Target != target.At() || now.Sub(a.UpdatedAt) > stale {
				continue
			}
			fresh = true
			t.tried(a.Refused, "From %s to %s: %s.", a.From, a.Target, a.Result)
			_, seq, err := v.Rev(a.Kind(), a.ID)
			if err != nil {
				return r, err
			}
			seqs = append(seqs, seq)
		}
		if !fresh && now.Sub(target.Since) > stale {
			late = fmt.Sprintf("Within the last %s nobody tried to reach %s.", stale, target.At())
		}
	}
	switch {
	case there == 0:
		return compliance.NotApplicable("No " + kind + " listens in " + s.Name + "."), nil
	case len(t.got) > 0: // whatever else was not tried
	case late != "":
		return unknown(late), nil
	case len(seqs) == 0:
		return unknown("What listens in " + s.Name + " is new: nobody has tried to reach it yet."), nil
	}
	r = t.result()
	r.Seqs = seqs
	return r, nil
}

// unknown is a subject of which nothing can be said, while others can be judged.
func unknown(why string) compliance.Result {
	return compliance.Result{Status: document.StatusUnknown, Facts: []string{why}}
}
