package control

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

// lab is a kernel on a real database, with a clock that the test moves, a store
// that fails where the test wants it, a team with an owner, and a stranger.
type lab struct {
	*testing.T
	store  *faulty
	kernel *Kernel
	clock  *labClock

	team            *document.Team
	owner, stranger *document.Account

	stop context.CancelFunc
	done chan error
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{
		T: t, store: &faulty{Store: s}, clock: &labClock{wall: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)},
		team:     &document.Team{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Name: "care"},
		owner:    &document.Account{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Email: "owner@example.org"},
		stranger: &document.Account{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Email: "stranger@example.org"},
	}
	l.Cleanup(func() {
		l.halt()
		if err := s.Verify(context.Background(), nil); err != nil {
			l.Errorf("the ledger after the test: %v", err)
		}
		if err := s.Close(); err != nil {
			l.Error(err)
		}
	})
	l.seed("", l.owner, l.stranger)
	l.seed(l.team.ID, l.team, &document.Member{
		Base: document.Base{Schema: 1, ID: uuid.NewString()}, Team: l.team.ID, Account: l.owner.ID, Roles: []string{"owner"},
	})
	l.start()
	return l
}

// start begins a kernel on the store, as a start of the server does.
func (l *lab) start() {
	l.Helper()
	l.kernel = New(Config{Store: l.store, Log: quiet})
	l.kernel.clock.read = l.clock.read
	l.kernel.clock.base = l.clock.read()
	ctx, stop := context.WithCancel(context.Background())
	l.stop, l.done = stop, make(chan error, 1)
	k, done := l.kernel, l.done
	go func() { done <- k.Run(ctx) }()
}

// halt ends the kernel, as the end of the server does.
func (l *lab) halt() {
	if l.stop == nil {
		return
	}
	l.stop()
	if err := <-l.done; err != nil {
		l.Errorf("the kernel: %v", err)
	}
	l.stop = nil
}

// seed appends past the kernel what the test starts from.
func (l *lab) seed(scope string, docs ...document.Doc) {
	l.Helper()
	err := l.store.Store.Write(func(b store.Batch) error {
		body := ledger.Body{Action: "test.seed", Outcome: ledger.OK, Actor: ledger.Actor{Kind: ledger.SystemActor}, Via: ledger.ViaAPI}
		for _, d := range docs {
			raw, err := document.Encode(d)
			if err != nil {
				return err
			}
			body.Changes = append(body.Changes, ledger.Change{Kind: string(d.Kind()), ID: d.Ident(), Rev: 1, Doc: raw})
		}
		_, err := b.Append(l.clock.read().wall, store.Draft{Scope: scope, Body: body, Docs: docs})
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
}

// as is an account acting from an address.
func (l *lab) as(a *document.Account) By {
	return By{Actor: ledger.Actor{Kind: ledger.AccountActor, ID: a.ID, Email: a.Email, IP: "198.51.100.7"}, Via: ledger.ViaAPI}
}

func anonymous(ip string) By {
	return By{Actor: ledger.Actor{Kind: ledger.AnonymousActor, IP: ip}, Via: ledger.ViaAPI}
}

func (l *lab) size() int64 {
	l.Helper()
	h, err := l.store.Head(context.Background())
	if err != nil {
		l.Fatal(err)
	}
	return h.Size
}

// entry is a line of the ledger as tests look at it.
type entry struct {
	Seq     int64
	Time    time.Time
	Scope   string
	Action  string
	Outcome ledger.Outcome
	Actor   string
	Count   int64
	Error   string
	Body    *ledger.Body
}

// since lists the entries from a seq on.
func (l *lab) since(seq int64) []entry {
	l.Helper()
	list, err := l.store.Entries(context.Background(), store.Query{FromSeq: seq})
	if err != nil {
		l.Fatal(err)
	}
	var out []entry
	for _, r := range list {
		b, err := ledger.ParseBody(r.Body)
		if err != nil {
			l.Fatal(err)
		}
		e := entry{r.Header.Seq, r.Header.Time, "", b.Action, b.Outcome, b.Actor.Email, b.Count, b.Error, b}
		if r.Header.Scope != nil {
			e.Scope = *r.Header.Scope
		}
		out = append(out, e)
	}
	return out
}

func actions(list []entry) (out []string) {
	for _, e := range list {
		out = append(out, e.Action)
	}
	return out
}

func (l *lab) teamName() string {
	l.Helper()
	var name string
	if err := l.store.Read(context.Background(), func(v store.View) error {
		t, err := store.Get[*document.Team](v, l.team.ID)
		if err == nil {
			name = t.Name
		}
		return err
	}); err != nil {
		l.Fatal(err)
	}
	return name
}

// gather holds the writer back until n commands have been submitted, so that
// they are one batch, and gives their errors in order.
func (l *lab) gather(by []By, commands ...Command) []error {
	l.Helper()
	release := l.store.hold()
	errs := make([]error, len(commands))
	var wg sync.WaitGroup
	// The first command is held in a batch of its own: it only opens the door.
	wg.Go(func() {
		l.kernel.Execute(context.Background(), &step{lab: l, decide: refuse(errNothing)}, l.as(l.owner))
	})
	<-l.store.reached
	for i, c := range commands {
		wg.Go(func() { _, errs[i] = l.kernel.Execute(context.Background(), c, by[min(i, len(by)-1)]) })
		for len(l.kernel.queue) <= i { // so that they keep their order
			time.Sleep(100 * time.Microsecond)
		}
	}
	release()
	wg.Wait()
	return errs
}

// labClock is a wall clock and a monotonic clock that the test moves.
type labClock struct {
	mu   sync.Mutex
	wall time.Time
	up   time.Duration
}

func (c *labClock) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return reading{c.wall, c.up}
}

// pass lets time go by.
func (c *labClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.up = c.wall.Add(d), c.up+d
}

// leap moves the wall clock only.
func (c *labClock) leap(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

var errBroken = errors.New("the disk is broken")

// faulty is a store that fails where it is told to, once.
type faulty struct {
	*sqlite.Store
	mu      sync.Mutex
	fail    string // begin, get, append, commit
	writes  int
	waiting chan struct{} // writes wait for its end
	reached chan struct{} // one token for each write that waits
}

func (f *faulty) set(fail string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *faulty) hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting, f.reached = make(chan struct{}), make(chan struct{}, 100)
	w := f.waiting
	return func() {
		f.mu.Lock()
		f.waiting = nil
		f.mu.Unlock()
		close(w)
	}
}

func (f *faulty) Write(fn func(store.Batch) error) error {
	f.mu.Lock()
	waiting, reached := f.waiting, f.reached
	f.writes++
	f.mu.Unlock()
	if waiting != nil {
		reached <- struct{}{}
		<-waiting
		return f.Store.Write(fn) // the batch that opens the door does not fail
	}
	f.mu.Lock()
	fail := f.fail
	f.fail = ""
	f.mu.Unlock()
	if fail == "begin" {
		return errBroken
	}
	return f.Store.Write(func(b store.Batch) error {
		if err := fn(&faultyBatch{Batch: b, fail: fail}); err != nil {
			return err
		}
		if fail == "commit" {
			return errBroken
		}
		return nil
	})
}

type faultyBatch struct {
	store.Batch
	fail string
	n    int
}

func (b *faultyBatch) Get(kind document.Kind, id string) (document.Doc, error) {
	if b.fail == "get" && kind == document.KindTeam {
		if b.n++; b.n == 3 {
			return nil, errBroken
		}
	}
	return b.Batch.Get(kind, id)
}

func (b *faultyBatch) Append(now time.Time, d store.Draft) (int64, error) {
	if b.n++; b.fail == "append" && b.n == 3 {
		return 0, errBroken
	}
	return b.Batch.Append(now, d)
}

// step is a command of the tests: it is aimed at the team and decides what the
// test says.
type step struct {
	lab    *lab
	action string
	need   authz.Permission // TeamManage
	aim    func(*Aim)
	decide func(v store.View, t *document.Team, d *Decision) error
	effect func() error
}

func (c *step) Action() string {
	if c.action == "" {
		return "team.step"
	}
	return c.action
}

func (c *step) Aim(v store.View) (Aim, error) {
	t, err := store.Get[*document.Team](v, c.lab.team.ID)
	if err != nil {
		return Aim{}, err
	}
	a := Aim{
		Scope: t.ID, Target: ledger.Target{Kind: "team", ID: t.ID, Name: t.Name},
		Need: authz.TeamManage, On: authz.Resource{Team: t.ID}, See: authz.TeamView,
	}
	if c.need != "" {
		a.Need = c.need
	}
	if c.aim != nil {
		c.aim(&a)
	}
	return a, nil
}

func (c *step) Decide(v store.View, _ By, _ time.Time, d *Decision) error {
	t, err := store.Get[*document.Team](v, c.lab.team.ID)
	if err != nil {
		return err
	}
	return c.decide(v, t, d)
}

func (c *step) Effect(context.Context, Tools, int64) error {
	if c.effect == nil {
		return nil
	}
	return c.effect()
}

// rename is a step that gives the team a name.
func (l *lab) rename(name string) *step {
	return &step{lab: l, action: "team.rename", decide: func(_ store.View, t *document.Team, d *Decision) error {
		t.Name = name
		d.Put(t)
		return nil
	}}
}

var errNothing = errors.New("nothing")

// refuse is a decision that fills in a change and then refuses.
func refuse(err error) func(store.View, *document.Team, *Decision) error {
	return func(_ store.View, t *document.Team, d *Decision) error {
		t.Name = "changed although it was refused"
		d.Put(t)
		return err
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

var _ secret.Shelf = (*faulty)(nil)
