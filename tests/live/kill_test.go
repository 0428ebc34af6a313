//go:build live

package live

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Bounds of the server's kills.
const (
	rounds = 50
	// serverBack is how soon the API answers again. It takes a second or two,
	// on a machine that has nothing else to do.
	serverBack = 30 * time.Second
)

// killServer kills the server with SIGKILL at random moments of the demo's
// path, fifty times, while people work with their real clients, a client of the
// API sets config vars without pause, an app is asked 20 times a second, and
// its dyno writes 1 MB/s to its standard output. Whoever was told that
// something is done finds it done; nothing is lost, nothing is half-made, and
// the app does not notice.
func killServer(t *testing.T, w *writer, p *path) {
	s := w.site
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("STRONGROOM_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the seed is %d: STRONGROOM_SEED repeats it", seed)
	k := &killer{site: s, random: rand.New(rand.NewPCG(seed, 0)), usual: map[string]time.Duration{}}
	notes := s.newApp(t, "notes", "other")

	for _, st := range p.steps() {
		k.measure(st, t)
	}
	set := newSetter(t, s, notes)
	probe := newProber(t, w)
	began := time.Now()
	before := must[progress](t)(w.progress("/?reset"))
	for n, st := range k.draw(t, p.steps()) {
		after := time.Duration(k.random.Int64N(int64(k.usual[st.name])))
		start := time.Now()
		st.do(t, k.strike("server", after))
		t.Logf("round %d: %s, killed after %s of %s; %s in all", n+1, st.name,
			after.Round(time.Millisecond), k.usual[st.name].Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		set.current(t)
		probe.none(t, st.name)
		before = w.since(t, before, start, stall)
		if t.Failed() {
			t.Fatalf("stopped after round %d", n+1)
		}
	}
	set.stop()
	probe.stop()
	probe.none(t, "in the end")
	p.settled(t)
	set.whole(t, s.account(t, "auditor"), "other")
	t.Logf("all kills took %s; %s", time.Since(began).Round(time.Second), probe)
	p.push(t, calm) // and all works as ever
	s.sr(t, "auditor", "ledger:verify", "--data", s.data).ok("The ledger is whole")
}

// killer kills parts of the installation.
type killer struct {
	*site
	random *rand.Rand
	usual  map[string]time.Duration // how long a step takes if nothing happens
}

// step is one of the things that people do. It says when its client starts and
// when that has ended, and then looks at what became of it.
type step struct {
	name  string
	times int // in the fifty rounds
	do    func(t *testing.T, m *moment)
}

// moment is what happens while a client works.
type moment struct {
	start func()
	back  func(t *testing.T) // returns when it is over and the server answers
	calm  bool               // nothing happens: the client has to succeed
}

// calm is a moment in which nothing happens.
var calm = &moment{start: func() {}, back: func(*testing.T) {}, calm: true}

// ended is called when the client is.
func (m *moment) ended(t *testing.T, r *result) {
	t.Helper()
	m.back(t)
	if m.calm {
		r.ok()
	}
}

// measure runs a step undisturbed.
func (k *killer) measure(st step, t *testing.T) {
	t.Helper()
	var start time.Time
	st.do(t, &moment{
		start: func() { start = time.Now() },
		back:  func(*testing.T) { k.usual[st.name] = time.Since(start) },
		calm:  true,
	})
	if t.Failed() {
		t.Fatalf("%s fails undisturbed", st.name)
	}
	t.Logf("%s takes %s", st.name, k.usual[st.name].Round(time.Millisecond))
}

// draw gives the rounds, each step as often as it says, in random order: the
// first STRONGROOM_ROUNDS of them, if that is set.
func (k *killer) draw(t *testing.T, steps []step) []step {
	t.Helper()
	var all []step
	for _, st := range steps {
		for range st.times {
			all = append(all, st)
		}
	}
	if len(all) != rounds {
		t.Fatalf("there are %d rounds, not %d", len(all), rounds)
	}
	k.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if v := os.Getenv("STRONGROOM_ROUNDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		all = all[:min(n, len(all))]
	}
	return all
}

// strike kills the part when the client has worked for so long.
func (k *killer) strike(part string, after time.Duration) *moment {
	type outcome struct {
		pid int
		at  time.Time
		err error
	}
	struck := make(chan outcome, 1)
	return &moment{
		start: func() {
			go func() {
				time.Sleep(after)
				pid, err := k.kill(part)
				struck <- outcome{pid, time.Now(), err}
			}()
		},
		back: func(t *testing.T) {
			t.Helper()
			o := <-struck
			if o.err != nil {
				t.Fatal(o.err)
			}
			eventually(t, serverBack, "the server coming back", func() error {
				return k.back(t, []string{part}, map[string]int{part: o.pid})
			})
		},
	}
}
