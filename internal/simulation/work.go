package simulation

import (
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
)

// The days of four weeks on which apps are changed. What is planted comes later
// in each fortnight: a change is to need its approval.
const (
	fortnight  = 14
	deployDay  = 1
	configDay  = 3
	sessionDay = 2
)

// whole is a build with everything that belongs to one; without its bill of
// materials is bare.
const (
	whole = true
	bare  = false
)

// everyday asks for the work of the step that begins at from.
func (l *life) everyday(from time.Time, left int) {
	day := int(from.Sub(Begin) / (24 * time.Hour))
	if from.Sub(Begin)%(24*time.Hour) == 0 {
		l.day(from, day)
	}
	l.at(from.Add(l.within(l.cfg.Step)), func() error { return l.routine(left) })
}

// within is a time of a span, to the second, and minutes from its ends: what
// takes a while ends in it.
func (l *life) within(span time.Duration) time.Duration {
	return 2*time.Minute + time.Second*time.Duration(l.rand.IntN(int((span-5*time.Minute)/time.Second)))
}

// day asks for what happens once a day, in the fixed order of the plan: chance
// must not depend on the order of a map.
func (l *life) day(from time.Time, day int) {
	l.at(from.Add(8*time.Hour+5*time.Minute), func() error { return l.come(day) })
	for n, t := range l.teams {
		for _, s := range t.spaces {
			for i, a := range s.apps {
				hour := from.Add(9*time.Hour + time.Duration(n*60+i*10+5)*time.Minute)
				switch day % (2 * fortnight) {
				case deployDay:
					l.at(hour, func() error { return l.deploy(a, whole) })
				case configDay:
					l.at(hour, func() error { return l.configure(a) })
				case sessionDay, sessionDay + fortnight:
					l.at(hour, func() error { return l.session(a, true) })
				}
			}
		}
	}
}

// come records that people came: each once a week.
func (l *life) come(day int) error {
	n := 0
	for _, t := range l.teams {
		for _, role := range append(roles, authz.Approver) {
			n++
			if p := l.who(t, role); (day+n)%7 == 0 {
				if err := l.does(&people.Use{Account: p.id}, p.as("")); err != nil {
					return err
				}
			}
		}
	}
	if day%7 != 0 {
		return nil
	}
	return l.does(&people.Use{Account: l.root.id}, l.root.as(""))
}

// deploy takes new code from a push to being live.
func (l *life) deploy(a *app, complete bool) error {
	t := a.space.team
	if a.id == "" {
		return nil // it is gone
	}
	a.commits++
	start := &releases.StartBuild{App: a.name, Commit: fmt.Sprintf("%040x", a.commits)}
	if err := l.does(start, l.who(t, authz.Member).as("")); err != nil {
		return err
	}
	finish := &releases.FinishBuild{
		ID: start.Build.ID, Buildpack: "nodejs",
		Slug: document.Slug{Image: digest(a.name), Size: 4096, Processes: []document.Process{{Type: "web", Command: "node server.js"}}},
	}
	var err error
	if complete {
		if finish.SBOM, err = l.blob(a, "sbom"); err != nil {
			return err
		}
	}
	if finish.Statement, err = l.blob(a, "provenance"); err != nil {
		return err
	}
	if err := l.does(finish, platform); err != nil || finish.Release.Status != document.ReleaseWaiting {
		return err
	}
	return l.approve(a, finish.Release)
}

func (l *life) approve(a *app, r *document.Release) error {
	return l.does(&releases.Approve{App: a.name, Identity: r.ID}, l.who(a.space.team, authz.Approver).as(""))
}

func (l *life) blob(a *app, role string) (*ledger.Blob, error) {
	ref, err := l.blobs.Put(l.ctx, &a.space.id, strings.NewReader(fmt.Sprintf("%s of commit %d of %s", role, a.commits, a.name)), 1<<20)
	return &ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: "text/plain", Role: role}, err
}

// configure changes a config var, and has it approved where that is asked for.
func (l *life) configure(a *app) error {
	if a.id == "" {
		return nil
	}
	set := &config.Set{App: a.name, Values: setting(l.Now().Format(time.RFC3339))}
	if err := l.does(set, l.who(a.space.team, authz.Member).as("")); err != nil || set.Release.Status != document.ReleaseWaiting {
		return err
	}
	return l.approve(a, set.Release)
}

// session opens a terminal and ends it.
func (l *life) session(a *app, recorded bool) error {
	if a.id == "" {
		return nil
	}
	open := &sessions.Open{App: a.name, Dyno: "run.1", Type: "run"}
	if err := l.does(open, l.who(a.space.team, authz.Member).as("a look at a queue")); err != nil {
		return err
	}
	code := 0
	end := &sessions.Close{ID: open.Session.ID, ExitCode: &code, Bytes: 5}
	if recorded {
		var err error
		if end.Recording, err = l.blob(a, "recording"); err != nil {
			return err
		}
	}
	return l.does(end, platform)
}

// routine is what goes on all the time: reads of what is sensitive, above all.
// It takes the year to its length.
func (l *life) routine(left int) error {
	head, err := l.Store.Head(l.ctx)
	if err != nil {
		return err
	}
	l.entries = head.Size
	var list []order
	for range max(0, int(l.cfg.Entries-head.Size)/left-2) { // two are the step's own
		list = append(list, l.errand())
	}
	return l.all(list)
}

func (l *life) errand() order {
	var there []*app
	for _, t := range l.teams {
		for _, s := range t.spaces {
			for _, a := range s.apps {
				if a.id != "" {
					there = append(there, a)
				}
			}
		}
	}
	a := there[l.rand.IntN(len(there))]
	member := l.who(a.space.team, authz.Member).as("")
	switch n := l.rand.IntN(10); {
	case n < 3:
		return order{&config.Read{App: a.name}, member}
	case n < 6:
		return order{&sessions.ReadLogs{App: a.name}, member}
	case n < 7 && a.addon != "":
		return order{&addons.ReadCredential{Identity: a.addon, Name: addons.DefaultCredential, For: "credentials"}, member}
	case n < 8:
		quantity := 1 + l.rand.IntN(3)
		return order{&apps.Scale{Identity: a.name, Updates: []apps.ScaleUpdate{{Type: "web", Quantity: &quantity}}}, member}
	default:
		return order{&apps.ObserveDynos{App: a.id, Dynos: []*document.Dyno{l.dyno(a)}}, platform}
	}
}

// dyno is what is seen to run: up, and starting again at times.
func (l *life) dyno(a *app) *document.Dyno {
	state := "up"
	if a.up = !a.up; a.up {
		state = "starting"
	}
	return &document.Dyno{
		Base: document.Base{ID: a.id}, App: a.id, Space: a.space.id, Name: "web.1", Type: "web", Command: "node server.js", Size: "Shield-S",
		State: state, Release: 2, Formation: a.id,
	}
}
