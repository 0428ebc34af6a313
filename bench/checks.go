package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/probe"
)

// manySpaces is how many there are while the checks are weighed: the demo's two, in
// which apps and a database run, and as many as are missing. These are empty, for
// a database takes four gigabytes of disk.
const manySpaces = 10

// quietly is how long the installation is looked at while nothing is asked of it:
// one run of all that is looked at each minute is in it.
const quietly = time.Minute

// checksFigure weighs what the platform does in ten spaces to know how it stands:
// processor time of everything that belongs to the installation, its containers and
// processes that have ended among them, above what it uses at rest, by how often
// each thing is done. The checks of the state are the figure status; attempts at
// doors and at the API, which are rare and start nothing, are left out.
func checksFigure(ctx context.Context, b *bench) error {
	s, err := b.site(ctx)
	if err != nil {
		return err
	}
	b.say("  making spaces until there are %d", manySpaces)
	if err := s.furnish(ctx); err != nil {
		return err
	}
	m, err := s.meter()
	if err != nil {
		return err
	}
	defer m.remove()
	rest, err := m.resting(ctx)
	if err != nil {
		return err
	}
	surveys, err := s.surveys(ctx, m, rest)
	if err != nil {
		return err
	}
	attempts, err := s.attempts(ctx, m, rest)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		what  string
		share float64
		aim   aim
	}{
		{"surveys of the host", surveys, aim{}},
		{"attempts from space to space", attempts, aim{}},
		{"both", surveys + attempts, atMost(1, "< 1 %")},
		{"the whole platform at rest", rest, aim{}},
	} {
		b.add(Result{Figure: "checks", Case: fmt.Sprintf("%s, %d spaces, share of a core", x.what, manySpaces), Unit: "%"}, []float64{100 * x.share}, nil, x.aim)
	}
	return nil
}

// furnish makes the spaces that are missing.
func (s *site) furnish(ctx context.Context) error {
	list, err := s.spaces(ctx)
	if err != nil {
		return err
	}
	for n := range manySpaces - len(list) {
		name := fmt.Sprintf("bench-%d", n)
		var made struct{ Name string }
		if err := s.call(ctx, "operator", "POST", "/spaces", map[string]string{"name": name, "team": "care"}, &made); err != nil {
			return err
		}
		if err := s.until(ctx, "/spaces/"+name, "allocated"); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) spaces(ctx context.Context) (names []string, err error) {
	var list []struct{ Name string }
	err = s.call(ctx, "operator", "GET", "/spaces", nil, &list)
	for _, x := range list {
		names = append(names, x.Name)
	}
	return names, err
}

// until waits for a state.
func (s *site) until(ctx context.Context, path, state string) error {
	var is struct{ State string }
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(300 * time.Millisecond) {
		if err := s.call(ctx, "operator", "GET", path, nil, &is); err != nil {
			return err
		}
		if is.State == state {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("%s is %s, not %s", path, is.State, state), ctx.Err())
}

// surveys weighs a look at each area by how often its check runs.
func (s *site) surveys(ctx context.Context, m *meter, rest float64) (share float64, err error) {
	p, err := builtin.Programme(builtin.Reach{})
	if err != nil {
		return 0, err
	}
	e := s.engine()
	defer e.Close()
	for _, x := range []struct{ area, check string }{
		{driver.AreaContainers, "host.containers"},
		{driver.AreaFirewall, "host.firewall"},
		{driver.AreaNetwork, "host.network"},
		{driver.AreaMounts, "host.mounts"},
		{driver.AreaPrograms, "host.binary"},
		{driver.AreaFiles, "host.data-files"},
		{driver.AreaShells, "host.logins"},
	} {
		took, err := m.above(rest, func() error { return repeated(rounds, func() error { _, err := e.Survey(ctx, x.area); return err }) })
		if err != nil {
			return 0, fmt.Errorf("survey of %s: %w", x.area, err)
		}
		share += took.Seconds() / rounds / p.Check(x.check).Every.Seconds()
	}
	return share, nil
}

func repeated(n int, do func() error) error {
	for range n {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// attempts weighs a round of them: from each space, and from builds, one container
// that tries three things in each other space.
func (s *site) attempts(ctx context.Context, m *meter, rest float64) (share float64, err error) {
	var base struct{ Doc struct{ Digest string } }
	if err := s.call(ctx, "operator", "GET", "/strongroom/state/image/base?at="+time.Now().Add(-time.Second).UTC().Format(time.RFC3339), nil, &base); err != nil {
		return 0, err
	}
	var from struct{ ID string }
	if err := s.call(ctx, "operator", "GET", "/spaces/bench-0", nil, &from); err != nil {
		return 0, err
	}
	e := s.engine()
	defer e.Close()
	o, err := e.Observe(ctx)
	if err != nil {
		return 0, err
	}
	var to []netip.AddrPort
	for len(o.Instances) > 0 && len(to) < 3*(manySpaces-1) {
		a, err := netip.ParseAddr(o.Instances[len(to)%len(o.Instances)].Address)
		if err != nil {
			return 0, err
		}
		to = append(to, netip.AddrPortFrom(a, 5000))
	}
	took, err := m.above(rest, func() error {
		return repeated(rounds, func() error {
			open, err := probe.Try(ctx, e, from.ID, base.Doc.Digest, to)
			if slices.Contains(open, true) || len(open) == 0 {
				return errors.Join(err, fmt.Errorf("attempts were not refused: %v", open))
			}
			return err
		})
	})
	return took.Seconds() / rounds * (manySpaces + 1) / probe.Every.Seconds(), err
}

// rounds is how often each thing is done while it is weighed.
const rounds = 5

// meter adds up the processor time of an installation, ended processes too. The
// containers have a control group; the other processes get one for this, in which
// what they start is as well.
type meter struct{ groups []string }

const accounting = "/sys/fs/cgroup/cpuacct"

// meter begins with the processes that there are.
func (s *site) meter() (*meter, error) {
	dynos := filepath.Join(accounting, "sr"+siteName+"-dynos")
	if _, err := os.Stat(dynos); err != nil {
		return nil, fmt.Errorf("this figure needs control groups of version 1: %w", err)
	}
	m := &meter{[]string{filepath.Join(accounting, "sr"+siteName+"-bench"), dynos}}
	if err := os.Mkdir(m.groups[0], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	pids, err := s.processes()
	if err != nil {
		return nil, err
	}
	for pid := range pids {
		if err := os.WriteFile(filepath.Join(m.groups[0], "cgroup.procs"), []byte(pid), 0); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, err
		}
	}
	return m, nil
}

// remove takes the processes out again.
func (m *meter) remove() {
	raw, err := os.ReadFile(filepath.Join(m.groups[0], "cgroup.procs"))
	for pid := range strings.FieldsSeq(string(raw)) {
		err = errors.Join(err, os.WriteFile(filepath.Join(accounting, "cgroup.procs"), []byte(pid), 0))
	}
	_ = errors.Join(err, os.Remove(m.groups[0])) // what is left of it disturbs nobody
}

func (m *meter) spent() (sum time.Duration, err error) {
	for _, g := range m.groups {
		raw, err := os.ReadFile(filepath.Join(g, "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// resting is the share of a core that is used while nothing is asked for.
func (m *meter) resting(ctx context.Context) (share float64, err error) {
	took, err := m.above(0, func() error {
		select {
		case <-time.After(quietly):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return took.Seconds() / quietly.Seconds(), err
}

// above is what do costs more than rest would have in the same time.
func (m *meter) above(rest float64, do func() error) (time.Duration, error) {
	before, err := m.spent()
	if err != nil {
		return 0, err
	}
	at := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	after, err := m.spent()
	return max(0, after-before-time.Duration(rest*float64(time.Since(at)))), err
}
