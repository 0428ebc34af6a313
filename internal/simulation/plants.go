package simulation

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// firstSlot is the day of the first plant; the others follow fortnight by
// fortnight, on days on which apps are left alone.
const firstSlot = 6

// plant decides when what goes wrong, and asks for it.
func (l *life) plant() {
	plants := []func(time.Time){
		l.openToAll, l.openAndNobodys, l.openTooLong, l.unapproved, l.exception, l.unmarked, l.incomplete, l.unrecorded, l.waiting,
		l.onHost("host.firewall", "A rule of the firewall is gone."),
		l.onHost("host.containers", "The container beside runs and nobody asked for it."),
		l.onHost("host.mounts", "The volume of clinic-records is mounted without encryption."),
		l.onHost("attempt.plaintext", "A request without TLS was answered."),
		l.outage(30 * time.Hour), l.outage(3 * l.cfg.Step), l.outage(time.Minute),
		l.hang("state.ephi-marked", 10), l.hang("host.clock", 1), l.mendedUnseen,
	}
	l.rand.Shuffle(len(plants), func(i, j int) { plants[i], plants[j] = plants[j], plants[i] })
	for i, p := range plants {
		// In the morning: what must be mended within a day can be.
		p(date(firstSlot + i*fortnight).Add(6*time.Hour + l.within(15*time.Minute)))
	}
	// The attic goes with what was wrong with it.
	l.unrecordedForGood(date(30))
	l.destroyed(date(firstSlot + len(plants)*fortnight).Add(6*time.Hour + 10*time.Minute))
	l.unused("leaver-one", date(9))
	l.unused("leaver-two", date(23))
	l.denials()
}

func date(day int) time.Time { return Begin.Add(time.Duration(day) * 24 * time.Hour) }

// space gives one of the plan.
func (l *life) space(name string) *space {
	for _, t := range l.teams {
		for _, s := range t.spaces {
			if s.name == name {
				return s
			}
		}
	}
	panic("there is no space " + name) // the plan is ours
}

func (l *life) owner(s *space) *person { return l.who(s.team, authz.Owner) }

// seen is when the checks run at or after a time.
func (l *life) seen(t time.Time) time.Time {
	late := t.Sub(Begin) % l.cfg.Step
	if late == 0 {
		return t
	}
	return t.Add(l.cfg.Step - late)
}

// sees has somebody take a finding on, minutes after it was made.
func (l *life) sees(f Fault, by *person) Fault {
	f.Owner = by.email
	l.at(l.seen(f.From).Add(10*time.Minute), func() error { return l.assign(f.Check, f.Name, by) })
	return f
}

func (l *life) assign(check, name string, by *person) error {
	f, err := l.finding(check, name)
	if err != nil || f == nil {
		return fmt.Errorf("the finding of %s about %s is not there: %w", check, name, err)
	}
	return l.do(&checks.Assign{ID: f.ID, Email: by.email}, by.as(""))
}

// accepts has somebody decide to live with a finding until after the year.
func (l *life) accepts(f Fault, by *person) {
	l.at(l.seen(f.From).Add(20*time.Minute), func() error {
		found, err := l.finding(f.Check, f.Name)
		if err != nil || found == nil {
			return fmt.Errorf("the finding of %s about %s is not there: %w", f.Check, f.Name, err)
		}
		return l.do(&checks.Accept{ID: found.ID, Reason: "It cannot be undone.", Until: date(Days + 1)}, by.as(""))
	})
}

func (l *life) fault(f Fault) { l.truth.Faults = append(l.truth.Faults, f) }

// trust sets at a time who may connect to a space.
func (l *life) trust(at time.Time, s *space, rules []document.TrustedIP) {
	l.at(at, func() error {
		return l.do(&spaces.SetTrusted{Identity: s.name, Rules: rules, Confirm: s.name}, l.owner(s).as("a test of the partner's"))
	})
}

func (l *life) open(s *space, from, to time.Time) Fault {
	l.trust(from, s, everybody)
	l.trust(to, s, ownNetwork)
	return Fault{Check: "state.trusted-ips", Scope: s.id, Name: s.name, Tells: "from everybody", From: from, To: to, Mended: l.owner(s).email}
}

func (l *life) openToAll(at time.Time) {
	s := l.space("ward")
	l.fault(l.sees(l.open(s, at, at.Add(2*24*time.Hour)), l.owner(s)))
}

// openAndNobodys is not taken on by anybody for days, which is a fault itself.
func (l *life) openAndNobodys(at time.Time) {
	s, owner := l.space("lab"), l.owner(l.space("lab"))
	f := l.open(s, at, at.Add(4*24*time.Hour))
	f.Owner = owner.email
	l.fault(f)
	taken := at.Add(3 * 24 * time.Hour)
	l.at(taken, func() error { return l.assign(f.Check, f.Name, owner) })
	l.fault(l.sees(Fault{
		Check: "state.findings-overdue", Scope: s.id, Name: s.name, Tells: "state.trusted-ips of lab has no owner",
		From: l.seen(at).Add(24*time.Hour + 1), To: taken, Mended: owner.email,
	}, owner))
}

// openTooLong is not mended by its date.
func (l *life) openTooLong(at time.Time) {
	s, owner := l.space("ward"), l.owner(l.space("ward"))
	f := l.sees(l.open(s, at, at.Add(9*24*time.Hour)), owner)
	l.fault(f)
	l.fault(l.sees(Fault{
		Check: "state.findings-overdue", Scope: s.id, Name: s.name, Tells: "state.trusted-ips of ward is overdue",
		From: l.seen(at).Add(7*24*time.Hour + 1), To: f.To, Mended: owner.email,
	}, owner))
}

// mendedUnseen is mended while no check runs: the record can tell only up to when
// it was seen.
func (l *life) mendedUnseen(at time.Time) {
	s := l.space("lab")
	l.fault(l.sees(l.open(s, at, at.Add(40*time.Hour)), l.owner(s)))
	l.down(at.Add(24*time.Hour), 30*time.Hour)
}

// unapproved has two persons take the rule of two persons away for half a day.
func (l *life) unapproved(at time.Time) {
	s := l.space("ward")
	owner, admin, member := l.owner(s), l.who(s.team, authz.Admin), l.who(s.team, authz.Member)
	none, one := 0, 1
	ask := &teams.UpdatePolicy{Team: s.team.name, Approvals: &none}
	l.at(at.Add(-10*time.Minute), func() error { return l.do(ask, owner.as("the approver is ill")) })
	l.at(at, func() error { return l.do(&teams.DecideRequest{ID: ask.Request.ID, Grant: true}, admin.as("")) })
	tightened := at.Add(13 * time.Hour)
	l.at(tightened, func() error { return l.do(&teams.UpdatePolicy{Team: s.team.name, Approvals: &one}, owner.as("")) })
	l.fault(l.sees(Fault{
		Check: "state.approval-policy", Scope: s.team.id, Name: s.team.name, Tells: "asks for no approval", From: at, To: tightened, Mended: owner.email,
	}, owner))

	portal, clinic := s.apps[2], s.apps[0]
	pushed := l.goesLive(portal, at.Add(20*time.Minute), member, func() error { return l.deploy(portal, whole) })
	l.goesLive(clinic, at.Add(40*time.Minute), member, func() error {
		return l.do(&config.Set{App: clinic.name, Values: setting("unapproved")}, member.as("it cannot wait"))
	})
	approved := at.Add(14 * time.Hour)
	l.at(approved, func() error { return l.deploy(portal, whole) })
	l.fault(l.sees(Fault{
		Check: "state.releases-approved", Scope: s.id, Name: portal.name, Tells: "nobody approved it", From: pushed, To: approved,
		Mended: l.who(s.team, authz.Approver).email,
	}, owner))
}

// goesLive has something go live without approval.
func (l *life) goesLive(a *app, at time.Time, by *person, do func() error) time.Time {
	l.at(at, func() error {
		if err := do(); err != nil {
			return err
		}
		return l.Store.Read(l.ctx, func(v store.View) error {
			r, err := store.One[*document.Release](v, "current", a.id)
			if err == nil {
				l.truth.Changes = append(l.truth.Changes, Change{l.Now(), a.space.id, fmt.Sprintf("%s v%d", a.name, r.Version), by.email})
			}
			return err
		})
	})
	return at
}

// exception has the only owner of a team do alone what two should.
func (l *life) exception(at time.Time) {
	s := l.space("annex")
	owner, website := l.owner(s), s.apps[0]
	none, one := 0, 1
	l.at(at, func() error {
		return l.do(&teams.UpdatePolicy{Team: s.team.name, Approvals: &none, Exception: true}, owner.as("the site is down and I am alone"))
	})
	tightened := at.Add(14 * time.Hour)
	l.at(tightened, func() error { return l.do(&teams.UpdatePolicy{Team: s.team.name, Approvals: &one}, owner.as("")) })
	l.goesLive(website, at.Add(20*time.Minute), l.who(s.team, authz.Member), func() error { return l.deploy(website, whole) })
	l.fault(l.sees(Fault{
		Check: "state.approval-policy", Scope: s.team.id, Name: s.team.name, Tells: "asks for no approval", From: at, To: tightened, Mended: owner.email,
	}, owner))
	f := l.sees(Fault{Check: "state.exceptions", Scope: s.team.id, Name: s.team.name, Tells: owner.email + " did policy.update alone", From: at}, owner)
	l.fault(f)
	l.accepts(f, owner)
}

// unmarked takes back what was said of an app's ePHI.
func (l *life) unmarked(at time.Time) {
	a := l.space("lab").apps[0]
	owner := l.owner(a.space)
	mark := func(at time.Time, what string) {
		l.at(at, func() error { return l.do(&apps.Update{Identity: a.name, EPHI: &what}, owner.as("")) })
	}
	to := at.Add(26 * time.Hour)
	mark(at, document.EPHIUnknown)
	mark(to, document.EPHIYes)
	l.fault(l.sees(Fault{
		Check: "state.ephi-marked", Scope: a.space.id, Name: a.name, Tells: "Nobody has said whether the app", From: at, To: to, Mended: owner.email,
	}, owner))
}

// incomplete is a build of which nobody can say what is in it.
func (l *life) incomplete(at time.Time) {
	a := l.space("ward").apps[1]
	to := at.Add(30 * time.Hour)
	l.at(at, func() error { return l.deploy(a, bare) })
	l.at(to, func() error { return l.deploy(a, whole) })
	l.fault(l.sees(Fault{
		Check: "state.release-evidence", Scope: a.space.id, Name: a.name, Tells: "without bill of materials", From: at, To: to,
		Mended: l.who(a.space.team, authz.Approver).email,
	}, l.owner(a.space)))
}

// unrecorded is a session whose recording nobody will ever find.
func (l *life) unrecorded(at time.Time) { l.lost(l.space("lab"), at) }

// unrecordedForGood is one in the space that will be destroyed, and that ends it.
func (l *life) unrecordedForGood(at time.Time) {
	l.lost(l.space("attic"), at.Add(7*time.Hour+10*time.Minute))
}

func (l *life) lost(s *space, at time.Time) {
	l.at(at, func() error { return l.session(s.apps[0], false) })
	f := l.sees(Fault{
		Check: "state.sessions-recorded", Scope: s.id, Name: s.name, Tells: "has no recording", From: at,
	}, l.owner(s))
	l.fault(f)
	l.accepts(f, l.owner(s))
}

// waiting is a request that gets no answer for eight days and a half.
func (l *life) waiting(at time.Time) {
	t := l.space("lab").team
	owner, admin := l.who(t, authz.Owner), l.who(t, authz.Admin)
	ask := &teams.GrantRole{Team: t.name, Email: l.who(t, authz.Viewer).email, Role: authz.Approver}
	l.at(at, func() error { return l.do(ask, owner.as("there shall be two")) })
	to := at.Add(8*24*time.Hour + 12*time.Hour)
	l.at(to, func() error { return l.do(&teams.DecideRequest{ID: ask.Request.ID}, admin.as("")) })
	l.fault(l.sees(Fault{
		Check: "state.requests-waiting", Scope: t.id, Name: t.name, Tells: "role.grant by " + owner.email + " waits", From: at.Add(7*24*time.Hour + 1), To: to,
		Mended: admin.email,
	}, owner))
}

// onHost is something that root did beside the platform, and undid.
func (l *life) onHost(check, wrong string) func(time.Time) {
	return func(at time.Time) {
		to := at.Add(2*l.cfg.Step + 5*time.Minute)
		l.at(at, func() error { l.host[check] = wrong; return nil })
		l.at(to, func() error { delete(l.host, check); return nil })
		l.fault(l.sees(Fault{Check: check, Name: HostName, Tells: wrong, From: at, To: to}, l.root))
	}
}

// outage stops the program that runs the checks, as if it had been killed.
func (l *life) outage(lasts time.Duration) func(time.Time) {
	return func(at time.Time) { l.down(at, lasts) }
}

// down ends with a run of the checks: a program that starts runs them all.
func (l *life) down(at time.Time, lasts time.Duration) {
	to := l.seen(at.Add(lasts))
	l.at(at, func() error { l.engine = nil; return nil })
	l.at(to, l.resume)
	l.truth.Outages = append(l.truth.Outages, Outage{From: at, To: to})
}

// hang keeps a check from ending, for some of its runs.
func (l *life) hang(check string, runs int) func(time.Time) {
	return func(at time.Time) {
		to := l.seen(at).Add(time.Duration(runs) * l.cfg.Step)
		l.at(at, func() error { l.hung[check] = true; return nil })
		l.at(to, func() error { delete(l.hung, check); return nil })
		l.truth.Outages = append(l.truth.Outages, Outage{check, at, to})
	}
}

// destroyed ends the attic, with what is in it.
func (l *life) destroyed(at time.Time) {
	s := l.space("attic")
	owner := l.owner(s)
	l.at(at, func() error {
		for _, a := range s.apps {
			gone := &apps.Destroy{Identity: a.name}
			if err := l.does(gone, owner.as("")); err != nil {
				return err
			}
			if err := l.does(&apps.Dispose{App: gone.App, Cache: "removed"}, platform); err != nil {
				return err
			}
			a.id = ""
		}
		gone := &spaces.Destroy{Identity: s.name}
		if err := l.does(gone, owner.as("nobody needs it")); err != nil {
			return err
		}
		if err := l.does(&spaces.Gone{ID: s.id}, platform); err != nil {
			return err
		}
		l.truth.Destroyed = append(l.truth.Destroyed, Destruction{l.Now(), s.id, owner.email})
		return l.does(&spaces.Dispose{Space: gone.Space}, platform)
	})
	for i := range l.truth.Faults {
		if f := &l.truth.Faults[i]; f.Scope == s.id {
			f.To = at
		}
	}
}

// unused is an account that somebody left behind, and that is found.
func (l *life) unused(name string, at time.Time) {
	l.at(at.Add(7*time.Hour+10*time.Minute), func() error { _, err := l.account(name); return err })
	made := at.Add(7*time.Hour + 10*time.Minute + time.Second)
	to := made.Add(92 * 24 * time.Hour)
	email := name + "@" + domain
	l.at(to, func() error { return l.do(&people.SuspendAccount{Email: email}, l.root.as("")) })
	l.fault(l.sees(Fault{
		Check: "state.stale-accounts", Name: email, Tells: "since the account was made", From: made.Add(90*24*time.Hour + 1), To: to, Mended: l.root.email,
	}, l.root))
}
