package outside_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/outside"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/timestamp"
	"github.com/strongroom/strongroom/internal/timestamp/timestamptest"
	"github.com/strongroom/strongroom/internal/witness/witnesstest"
)

// lab is an installation by the wall's clock, whose log grows.
type lab struct {
	*commandtest.World
	signed *control.Checkpoints
	dir    string
	teams  int
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.Bare(t, time.Time{}), dir: filepath.Join(t.TempDir(), "outside")}
	l.signed, _ = l.Checkpoints(filepath.Join(t.TempDir(), "checkpoint"))
	l.grow()
	return l
}

// grow appends something, and signs it.
func (l *lab) grow() (ledger.Checkpoint, []byte) {
	l.T.Helper()
	l.teams++
	l.Do(&teams.Create{Name: "team-" + strings.Repeat("x", l.teams)}, l.As("root"))
	c, signed, err := l.signed.Sign(l.T.Context())
	if err != nil {
		l.T.Fatal(err)
	}
	return c, signed
}

func (l *lab) observers(list ...outside.Witness) *outside.Observers {
	l.T.Helper()
	o, err := outside.New(outside.Config{
		Store: l.Store, Checkpoints: l.signed, Kernel: l.Kernel, Witnesses: list, Dir: l.dir,
		Every: 20 * time.Millisecond, Patience: 2 * time.Second, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		l.T.Fatal(err)
	}
	return o
}

// run runs observers until the returned function.
func (l *lab) run(o *outside.Observers) (stop func()) {
	ctx, cancel := context.WithCancel(l.T.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			l.T.Error(err)
		}
	}
}

func at(m *witnesstest.Machine) outside.Witness { return outside.Witness{URL: m.URL, Key: m.Key} }

// await waits for something that is bound to happen.
func (l *lab) await(what string, is func() bool) {
	l.T.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.T.Fatalf("not within 20 s: %s", what)
		}
	}
}

// cosigners are the witnesses whose cosignatures of a checkpoint verify.
func cosigners(t *testing.T, signed []byte, list ...*witnesstest.Machine) (names []string) {
	t.Helper()
	for _, m := range list {
		key, err := ledger.NewWitness(m.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, n, err := ledger.OpenCheckpoint(signed, key); err == nil {
			if at, ok := key.CosignedAt(n); !ok || time.Since(at) > time.Minute {
				t.Errorf("%s cosigned at %s", key.Name(), at)
			}
			names = append(names, key.Name())
		}
	}
	return names
}

// TestRun: each new checkpoint reaches every witness, also one that was away,
// and the ledger says so.
func TestRun(t *testing.T) {
	l := newLab(t)
	one, two := witnesstest.New(t, "one.example.org", l.LogKey), witnesstest.New(t, "two.example.org", l.LogKey)
	two.Away.Store(true)
	o := l.observers(at(one), at(two))
	stop := l.run(o)
	has := func(m *witnesstest.Machine, size int64) func() bool {
		return func() bool {
			newest, _ := l.signed.Newest()
			list := m.Cosigned(newest.Origin)
			return len(list) > 0 && list[len(list)-1] >= size
		}
	}
	first, _ := l.signed.Newest()
	l.await("the first checkpoint is cosigned", has(one, first.Size))
	second, _ := l.grow()
	l.await("the second checkpoint is cosigned", has(one, second.Size))
	two.Away.Store(false)
	l.await("the other witness came back", has(two, second.Size))
	stop()

	lines, err := l.Store.Entries(t.Context(), store.Query{Actions: []string{"log.witnessed"}, Limit: 10})
	if err != nil || len(lines) != 1 {
		t.Fatalf("%d entries say what was cosigned, want one an hour: %v", len(lines), err)
	}
	var body ledger.Body
	if err := json.Unmarshal(lines[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(l.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	if c, _, err := ledger.OpenCheckpoint([]byte(body.Checkpoint), key); err != nil || c.Size < first.Size {
		t.Errorf("recorded %+v, %v", c, err)
	}
	if got := cosigners(t, []byte(body.Checkpoint), one, two); len(got) == 0 {
		t.Errorf("nobody cosigned what was recorded:\n%s", body.Checkpoint)
	}

	// What was answered is known after a restart, and asked on from.
	one.Away.Store(true)
	seen, err := l.observers(at(one)).Witnessed(t.Context())
	if err != nil || len(seen) != 1 || seen[0].Size < second.Size || time.Since(seen[0].At) > time.Minute || seen[0].Refusal != "" {
		t.Errorf("after a restart: %+v, %v", seen, err)
	}
}

// TestExport: a pack's checkpoint has the cosignatures of those who answer in
// time, of after the period, and waits for nobody else.
func TestExport(t *testing.T) {
	l := newLab(t)
	one, two, stranger := witnesstest.New(t, "one", l.LogKey), witnesstest.New(t, "two", l.LogKey), witnesstest.New(t, "stranger")
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	hanging := at(stranger)
	hanging.Name, hanging.URL = "slow", slow.URL
	o := l.observers(at(one), at(two), at(stranger), hanging)
	c, signed := l.grow()
	began := time.Now()
	got := o.Cosign(t.Context(), c, signed, began)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the export waited %s", took)
	}
	if names := strings.Join(cosigners(t, got, one, two, stranger), " "); names != "one two" {
		t.Errorf("cosigned by %q:\n%s", names, got)
	}
	key, err := ledger.NewWitness(one.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := ledger.OpenCheckpoint(got, key)
	if err != nil {
		t.Fatal(err)
	}
	if at, _ := key.CosignedAt(n); at.Before(began) {
		t.Errorf("cosigned at %s, before the period's end %s", at, began)
	}
	seen, err := o.Witnessed(t.Context())
	if err != nil || len(seen) != 4 || seen[0].Size != c.Size || !strings.Contains(seen[2].Refusal, "404") || !seen[3].At.IsZero() {
		t.Errorf("%+v, %v", seen, err)
	}
	if none := l.observers().Cosign(t.Context(), c, signed, began); string(none) != string(signed) {
		t.Errorf("without witnesses: %s", none)
	}
}

// TestForgetful: a witness that knows less than we think is asked from there.
func TestForgetful(t *testing.T) {
	l := newLab(t)
	m := witnesstest.New(t, "one", l.LogKey)
	ask := func(o *outside.Observers) {
		t.Helper()
		c, signed := l.grow()
		if got := o.Cosign(t.Context(), c, signed, time.Time{}); len(cosigners(t, got, m)) != 1 {
			t.Errorf("not cosigned: %+v", got)
		}
	}
	ask(l.observers(at(m)))
	l.dir = t.TempDir() // we forgot, too
	ask(l.observers(at(m)))
	fresh := witnesstest.New(t, "one", l.LogKey)
	renewed := outside.Witness{Name: "one", URL: fresh.URL, Key: fresh.Key}
	m = fresh
	ask(l.observers(renewed))
}

// TestStamps: checkpoints are stamped as often as the settings say, what was
// stamped is kept with its checkpoint, and what does not verify does not count.
func TestStamps(t *testing.T) {
	l := newLab(t)
	a, other := timestamptest.New(t), timestamptest.New(t)
	open := func(set outside.Timestamps) *outside.Observers {
		t.Helper()
		o, err := outside.New(outside.Config{
			Store: l.Store, Checkpoints: l.signed, Kernel: l.Kernel, Timestamps: set, Dir: l.dir, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	standing := func(o *outside.Observers) outside.Stamped {
		t.Helper()
		s, err := o.Stamped(t.Context())
		if err != nil || s == nil {
			t.Fatalf("%+v, %v", s, err)
		}
		return *s
	}
	// Another authority answers at the address.
	if s := standing(open(outside.Timestamps{URL: other.URL, CAFile: a.CA})); !s.Stamp.At.IsZero() || !strings.Contains(s.Refusal, "not of an authority that is trusted") {
		t.Errorf("%+v", s)
	}
	o := open(outside.Timestamps{URL: a.URL, CAFile: a.CA, Every: "1s"})
	stop := l.run(o)
	first, _ := l.signed.Newest()
	l.await("the first checkpoint is stamped", func() bool { return standing(o).Size == first.Size })
	second, _ := l.grow()
	l.await("the second checkpoint is stamped", func() bool { return standing(o).Size == second.Size })
	stop()

	pem, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := timestamp.Roots(pem)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []ledger.Checkpoint{first, second} {
		path := filepath.Join(l.dir, "timestamps", strconv.FormatInt(c.Size, 10))
		token, err1 := os.ReadFile(path + ".tst")
		text, err2 := os.ReadFile(path + ".checkpoint")
		if s, err := timestamp.Verify(token, []byte(c.Marshal()), roots); errors.Join(err1, err2, err) != nil || string(text) != c.Marshal() || s.By != "Test TSA" {
			t.Errorf("what was kept of %d: %+v, %v, %v, %v", c.Size, s, err, err1, err2)
		}
	}
	// After a restart the newest stamp is known without asking.
	a.Away.Store(true)
	o = open(outside.Timestamps{URL: a.URL, CAFile: a.CA})
	if s := standing(o); s.Size != second.Size || s.Refusal != "" || s.Every != time.Hour {
		t.Errorf("after a restart: %+v", s)
	}
	if token := o.Stamp(t.Context(), second, time.Now()); token != nil {
		t.Error("stamped by nobody")
	}
	a.Away.Store(false)
	began := time.Now()
	token := o.Stamp(t.Context(), second, began)
	if s, err := timestamp.Verify(token, []byte(second.Marshal()), roots); err != nil || s.At.Before(began) {
		t.Errorf("for an export: %+v, %v", s, err)
	}

	for says, set := range map[string]outside.Timestamps{
		"timestamps.url":     {URL: "tsa", CAFile: a.CA},
		"timestamps.ca_file": {URL: a.URL},
		"no certificate":     {URL: a.URL, CAFile: filepath.Join(filepath.Dir(a.CA), "config")},
		"timestamps.every":   {URL: a.URL, CAFile: a.CA, Every: "0s"},
		"\"often\"":          {URL: a.URL, CAFile: a.CA, Every: "often"},
	} {
		if _, err := outside.New(outside.Config{Timestamps: set}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", set, err, says)
		}
	}
}

func TestConfig(t *testing.T) {
	m := witnesstest.New(t, "one")
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, list := range map[string][]outside.Witness{
		"malformed witness key":  {{URL: m.URL, Key: "x"}},
		"one has no url":         {{Key: m.Key}},
		"me has no url":          {{Name: "me", Key: m.Key, URL: "ftp://one"}},
		"two are named one":      {{Key: m.Key, URL: m.URL}, {Key: m.Key, URL: m.URL}},
		"holds no certificate":   {{Key: m.Key, URL: m.URL, CA: empty}},
		"no such file":           {{Key: m.Key, URL: m.URL, CA: empty + ".none"}},
		"is of type 0x1":         {{URL: m.URL, Key: logKey(t)}},
		strings.Repeat("x", 101): {{Name: strings.Repeat("x", 101), Key: m.Key, URL: m.URL}},
	} {
		if _, err := outside.New(outside.Config{Witnesses: list}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", list, err, says)
		}
	}
}

func logKey(t *testing.T) string {
	t.Helper()
	l := newLab(t)
	return l.LogKey
}

// TestMisleading: redirects are not followed, and no answer grows beyond bounds.
func TestMisleading(t *testing.T) {
	l := newLab(t)
	m := witnesstest.New(t, "one", l.LogKey)
	elsewhere := httptest.NewServer(http.RedirectHandler(m.URL+"/add-checkpoint", http.StatusTemporaryRedirect))
	defer elsewhere.Close()
	w := at(m)
	w.URL = elsewhere.URL
	c, signed := l.grow()
	o := l.observers(w)
	if got := o.Cosign(t.Context(), c, signed, time.Time{}); len(cosigners(t, got, m)) != 0 {
		t.Error("a redirect was followed")
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	w.URL = "http://" + closed.Addr().String()
	seen, err := l.observers(w).Witnessed(t.Context())
	if err != nil || len(seen) != 1 || seen[0].Refusal != "" || !seen[0].At.IsZero() {
		t.Errorf("nobody listens: %+v, %v", seen, err)
	}
}
