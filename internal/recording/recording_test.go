package recording

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/fault"
)

const (
	scopeA   = "7d9f3a52-6f0e-4c8b-9a41-0c5f6f1e2d3a"
	sessionA = "0198f2a1-0000-7000-8000-000000000001"
	sessionB = "0198f2a1-0000-7000-8000-000000000002"
)

type memKeys map[string][]byte

func (m memKeys) DataKey(_ context.Context, scope *string) ([]byte, error) {
	if scope == nil {
		return bytes.Repeat([]byte{1}, 32), nil
	}
	if key, ok := m[*scope]; ok {
		return key, nil
	}
	return nil, fault.New(fault.NotFound, "The key was destroyed.")
}

// clockAt is a clock that goes on by a step at each look.
type clockAt struct {
	mu   sync.Mutex
	t    time.Time
	step time.Duration
}

func (c *clockAt) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(c.step)
	return c.t
}

type lab struct {
	*Recorder
	store *blob.Store
	keys  memKeys
	clock *clockAt
}

var started = time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)

func newLab(t testing.TB, max int64) lab {
	t.Helper()
	dir := t.TempDir()
	return labIn(t, filepath.Join(dir, "running"), filepath.Join(dir, "blobs"), max)
}

func labIn(t testing.TB, running, blobs string, max int64) lab {
	t.Helper()
	keys := memKeys{scopeA: bytes.Repeat([]byte{7}, 32)}
	store, err := blob.Open(blobs, keys)
	if err != nil {
		t.Fatal(err)
	}
	clock := &clockAt{t: started, step: 250 * time.Millisecond}
	r, err := New(Config{Dir: running, Keys: keys, Blobs: store, Max: max, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return lab{Recorder: r, store: store, keys: keys, clock: clock}
}

func meta(id string) Meta {
	scope := scopeA
	return Meta{ID: id, Scope: &scope, Command: "bash -c 'psql <x>'", Cols: 120, Rows: 40, Term: "xterm-256color", Started: started}
}

func (l lab) open(t testing.TB, id string) *Recording {
	t.Helper()
	rec, err := l.Open(t.Context(), meta(id))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (l lab) cast(t testing.TB, s Sealed) string {
	t.Helper()
	r, err := l.store.Get(t.Context(), s.Scope, s.Ref.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func do(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func exit(code int) *int { return &code }

func TestSealedCast(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Output([]byte("$ ")), rec.Input([]byte("ls\r")), rec.Resize(100, 30),
		rec.Output([]byte("a<b>&\u2028\x1b[0m é\r\n")), rec.Output([]byte{'x', 0xff, 0xc3}), rec.Input([]byte{0xfe}))
	s, err := rec.Seal(t.Context(), End{Reason: "exit", Exit: exit(7)})
	do(t, err)
	want := `{"version":2,"width":120,"height":40,"timestamp":1795406706,"title":"` + sessionA + `","command":"bash -c 'psql <x>'","env":{"TERM":"xterm-256color"}}
[0.250000,"o","$ "]
[0.500000,"i","ls\r"]
[0.750000,"r","100x30"]
[1.000000,"o","a<b>&\u2028\u001b[0m é\r\n"]
[1.250000,"o","x\ufffd\ufffd"]
[1.250000,"ob","eP/D"]
[1.500000,"i","\ufffd"]
[1.500000,"ib","/g=="]
[1.750000,"m","end {\"reason\":\"exit\",\"exit\":7}"]
`
	if diff := cmp.Diff(want, l.cast(t, s)); diff != "" {
		t.Error(diff)
	}
	wantSealed := Sealed{
		Meta: meta(sessionA), End: End{Reason: "exit", Exit: exit(7)}, Ref: s.Ref, Chain: s.Chain,
		In: 4, Out: 2 + 17 + 3, Last: 1750 * time.Millisecond,
	}
	if diff := cmp.Diff(wantSealed, s); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(s.Chain, "sha256:") || len(s.Chain) != 71 {
		t.Errorf("chain %q", s.Chain)
	}
}

func TestReaderGivesExactBytes(t *testing.T) {
	l := newLab(t, 8<<20)
	rec := l.open(t, sessionA)
	pieces := [][]byte{[]byte("plain"), {0xff, 0x00, 0xfe}, []byte("é"), {0xc3}, bytes.Repeat([]byte{1}, maxEvent), bytes.Repeat([]byte{0x80}, 2*maxEvent+1)}
	var in []byte
	for _, p := range pieces {
		do(t, rec.Input(p), rec.Output(p))
		in = append(in, p...)
	}
	s, err := rec.Seal(t.Context(), End{Reason: "exit"})
	do(t, err)
	if s.In != int64(len(in)) || s.Out != int64(len(in)) {
		t.Errorf("counted %d in, %d out, want %d", s.In, s.Out, len(in))
	}
	var gotIn, gotOut []byte
	for _, e := range events(t, l.cast(t, s)) {
		switch e.Code {
		case codeInput:
			gotIn = append(gotIn, e.Data...)
		case codeOutput:
			gotOut = append(gotOut, e.Data...)
		}
	}
	if !bytes.Equal(gotIn, in) || !bytes.Equal(gotOut, in) {
		t.Error("the bytes read back are not those recorded")
	}
}

func events(t testing.TB, cast string) []Event {
	t.Helper()
	rd, err := NewReader(strings.NewReader(cast))
	do(t, err)
	var all []Event
	for {
		e, err := rd.Next()
		if err == io.EOF {
			return all
		}
		do(t, err)
		all = append(all, e)
	}
}

// When Input returns, another process that has the key can read the keystroke
// from the file.
func TestOnDiskWhenInputReturns(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	for i := range 20 {
		key := fmt.Sprintf("key-%d", i)
		do(t, rec.Input([]byte(key)))
		if text := decrypt(t, l, sessionA); !strings.Contains(text, key) {
			t.Fatalf("%s is not in the file", key)
		}
	}
	do(t, rec.Output([]byte("shown")))
	if text := decrypt(t, l, sessionA); !strings.Contains(text, "shown") {
		t.Fatal("output is not in the file")
	}
}

// decrypt reads the whole chunks of a working file.
func decrypt(t testing.TB, l lab, id string) string {
	t.Helper()
	f, err := os.Open(l.path(id))
	do(t, err)
	defer f.Close()
	p, start, err := readPreamble(f)
	do(t, err)
	key, err := l.wrapKey(t.Context(), p.Scope)
	do(t, err)
	aead, header, err := openHeader(f, key, start)
	do(t, err)
	var text []byte
	c := newChain(header)
	for {
		plain, err := c.next(f, aead)
		if err != nil {
			return string(text)
		}
		text = append(text, plain...)
	}
}

func TestNothingInTheClear(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("my secret diagnosis")))
	b, err := os.ReadFile(l.path(sessionA))
	do(t, err)
	for _, text := range []string{"secret", "psql", "xterm"} {
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("the file holds %q", text)
		}
	}
	if info, _ := os.Stat(l.path(sessionA)); info.Mode().Perm() != 0o600 || info.Size() != 1<<20 {
		t.Errorf("mode %v, %d bytes", info.Mode(), info.Size())
	}
}

func TestConcurrentUse(t *testing.T) {
	l := newLab(t, 8<<20)
	rec := l.open(t, sessionA)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 25 {
				if err := rec.Input(fmt.Appendf(nil, "<%d.%d>", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := rec.Seal(t.Context(), End{Reason: "exit"})
	do(t, err)
	cast, last := l.cast(t, s), time.Duration(0)
	for i := range 8 {
		for j := range 25 {
			if !strings.Contains(cast, fmt.Sprintf("<%d.%d>", i, j)) {
				t.Fatalf("<%d.%d> is missing", i, j)
			}
		}
	}
	for _, e := range events(t, cast) {
		if e.At < last {
			t.Fatal("time falls")
		}
		last = e.At
	}
	if s.Damaged {
		t.Error("damaged")
	}
}

func TestBound(t *testing.T) {
	l := newLab(t, 128<<10)
	rec := l.open(t, sessionA)
	var accepted int
	var err error
	for err == nil && accepted < 1000 {
		if err = rec.Output(bytes.Repeat([]byte("x"), 1000)); err == nil {
			accepted++
		}
	}
	if fault.Of(err) != fault.TooLarge || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("after %d: %v", accepted, err)
	}
	if again := rec.Input([]byte("a")); again != err {
		t.Fatalf("a full recording took input: %v", again)
	}
	s, err := rec.Seal(t.Context(), End{Reason: "recording"})
	do(t, err)
	if s.Out != int64(accepted)*1000 || s.In != 0 || s.Damaged || s.End.Reason != "recording" {
		t.Errorf("%+v, accepted %d", s, accepted)
	}
	if !strings.Contains(l.cast(t, s), `end {\"reason\":\"recording\"}`) {
		t.Error("the end is not in the recording")
	}
}

// A recording whose file cannot be written any more fails for good.
func TestFailureIsForGood(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("before")))
	rec.file.Close()
	err := rec.Input([]byte("lost"))
	if fault.Of(err) != fault.Unavailable {
		t.Fatal(err)
	}
	f, oerr := os.OpenFile(l.path(sessionA), os.O_RDWR, 0)
	do(t, oerr)
	rec.file = f // the disk is well again
	if again := rec.Input([]byte("after")); again != err {
		t.Fatalf("went on after a failure: %v", again)
	}
	s, err := rec.Seal(t.Context(), End{Reason: "recording"})
	do(t, err)
	if cast := l.cast(t, s); strings.Contains(cast, "lost") || strings.Contains(cast, "after") || s.In != 6 {
		t.Errorf("%d bytes in: %s", s.In, cast)
	}
}

func TestAfterSeal(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	_, err := rec.Seal(t.Context(), End{Reason: "exit"})
	do(t, err)
	if err := rec.Input([]byte("x")); fault.Of(err) != fault.Conflict {
		t.Errorf("input: %v", err)
	}
	if _, err := rec.Seal(t.Context(), End{}); fault.Of(err) != fault.Conflict {
		t.Errorf("second seal: %v", err)
	}
}

// Callers that wait for the disk while Seal comes either are in the recording
// or get an error.
func TestSealWhileInput(t *testing.T) {
	for range 20 {
		l := newLab(t, 1<<20)
		rec := l.open(t, sessionA)
		var wg sync.WaitGroup
		ok := make([]bool, 8)
		for i := range ok {
			wg.Go(func() { ok[i] = rec.Input(fmt.Appendf(nil, "<%d>", i)) == nil })
		}
		s, err := rec.Seal(t.Context(), End{Reason: "exit"})
		do(t, err)
		wg.Wait()
		cast := l.cast(t, s)
		for i := range ok {
			if ok[i] && !strings.Contains(cast, fmt.Sprintf("<%d>", i)) {
				t.Fatalf("<%d> was accepted and is not in the recording", i)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	l := newLab(t, 1<<20)
	l.open(t, sessionA)
	m := meta(sessionA)
	if _, err := l.Open(t.Context(), m); fault.Of(err) != fault.Conflict {
		t.Errorf("same id: %v", err)
	}
	for _, id := range []string{"", "x", "../" + sessionA, "{" + sessionA + "}"} {
		if _, err := l.Open(t.Context(), Meta{ID: id, Started: started}); fault.Of(err) != fault.Invalid {
			t.Errorf("id %q: %v", id, err)
		}
		if err := l.Remove(id); fault.Of(err) != fault.Invalid {
			t.Errorf("remove %q: %v", id, err)
		}
	}
	m.ID, m.Scope = sessionB, ptr("1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9")
	if _, err := l.Open(t.Context(), m); fault.Of(err) != fault.NotFound {
		t.Errorf("destroyed key: %v", err)
	}
	entries, err := os.ReadDir(l.dir)
	do(t, err)
	if len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

func ptr(s string) *string { return &s }

// abandon is a crash of the recorder's process: the lock goes, the file stays.
func abandon(rec *Recording) { rec.file.Close() }

func TestRecover(t *testing.T) {
	l := newLab(t, 1<<20)
	rec, live := l.open(t, sessionA), l.open(t, sessionB)
	do(t, rec.Input([]byte("whoami\r")), rec.Output([]byte("root\r\n")))
	abandon(rec)
	do(t, os.WriteFile(filepath.Join(l.dir, "0198f2a1-0000-7000-8000-000000000003"+newSuffix), []byte("half"), 0o600))
	var first []Sealed
	for range 2 { // the same again until Remove
		got, err := l.Recover(t.Context())
		do(t, err)
		if len(got) != 1 || got[0].ID != sessionA || got[0].End.Reason != Interrupted || got[0].End.Exit != nil ||
			got[0].In != 7 || got[0].Out != 6 || got[0].Damaged || *got[0].Scope != scopeA || got[0].Command != "bash -c 'psql <x>'" {
			t.Fatalf("%+v", got)
		}
		if first != nil && got[0].Ref != first[0].Ref {
			t.Fatal("another digest the second time")
		}
		first = got
	}
	cast := l.cast(t, first[0])
	if !strings.Contains(cast, `"whoami\r"`) || !strings.HasSuffix(cast, `"m","end {\"reason\":\"interrupted\"}"]`+"\n") {
		t.Error(cast)
	}
	do(t, l.Remove(sessionA), l.Remove(sessionA), live.Input([]byte("still going")))
	if got, err := l.Recover(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err := live.Seal(t.Context(), End{Reason: "exit"})
	do(t, err, l.Remove(sessionB))
	if entries, _ := os.ReadDir(l.dir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

// A recording that was sealed but whose closing entry was not written is given
// again, with the end it had.
func TestRecoverAfterSeal(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("x")))
	want, err := rec.Seal(t.Context(), End{Reason: "exit", Exit: exit(3)})
	do(t, err)
	got, err := l.Recover(t.Context())
	do(t, err)
	if diff := cmp.Diff([]Sealed{want}, got); diff != "" {
		t.Error(diff)
	}
}

type brokenBlobs struct{}

func (brokenBlobs) Put(context.Context, *string, io.Reader, int64) (blob.Ref, error) {
	return blob.Ref{}, fault.New(fault.Unavailable, "full")
}

func TestSealFailureLeavesTheFile(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("kept")))
	l.blobs = brokenBlobs{}
	if _, err := rec.Seal(t.Context(), End{Reason: "exit"}); fault.Of(err) != fault.Unavailable {
		t.Fatal(err)
	}
	l.blobs = l.store
	got, err := l.Recover(t.Context())
	do(t, err)
	if len(got) != 1 || got[0].In != 4 || got[0].End.Reason != "exit" {
		t.Fatalf("%+v", got)
	}
}

// Of a file that was cut or changed, what is whole up to that place is kept;
// what a crash cannot have caused is said.
func TestRecoverDamaged(t *testing.T) {
	flip := func(at int) func([]byte) { return func(b []byte) { b[at] ^= 1 } }
	tests := []struct {
		name    string
		change  func(b []byte, chunks []int)
		in      int64 // of three inputs of one byte each
		damaged bool
	}{
		{"nothing", func([]byte, []int) {}, 3, false},
		{"last chunk torn", func(b []byte, c []int) { clear(b[c[3]+50:]) }, 2, false},
		{"last chunk's prefix torn", func(b []byte, c []int) { clear(b[c[3]+2:]) }, 2, false},
		{"last chunk gone", func(b []byte, c []int) { clear(b[c[3]:]) }, 2, false},
		{"byte in the middle", func(b []byte, c []int) { flip(c[2] + 60)(b) }, 1, true},
		{"middle chunk taken out", func(b []byte, c []int) {
			copy(b[c[2]:], b[c[3]:c[4]])
			clear(b[c[2]+c[4]-c[3] : c[4]])
		}, 1, false}, // cut there: what follows does not belong
		{"chunks swapped", func(b []byte, c []int) {
			second := slices.Clone(b[c[2]:c[3]])
			copy(b[c[2]:], b[c[3]:c[4]])
			copy(b[c[2]+c[4]-c[3]:], second)
		}, 1, false},
		{"something far behind", func(b []byte, c []int) { clear(b[c[3]+50:]); b[len(b)-1] = 1 }, 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 4<<20)
			rec := l.open(t, sessionA)
			for range 3 {
				do(t, rec.Input([]byte("x")))
			}
			abandon(rec)
			b, err := os.ReadFile(l.path(sessionA))
			do(t, err)
			tt.change(b, chunkOffsets(b))
			do(t, os.WriteFile(l.path(sessionA), b, 0o600))
			got, err := l.Recover(t.Context())
			do(t, err)
			if len(got) != 1 || got[0].In != tt.in || got[0].Damaged != tt.damaged {
				t.Fatalf("%+v", got)
			}
		})
	}
}

// While its process lives, a recording knows the head of its chain: any change
// of the file is noticed at Seal.
func TestSealNoticesTampering(t *testing.T) {
	l := newLab(t, 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("evil")), rec.Input([]byte("x")))
	b, err := os.ReadFile(l.path(sessionA))
	do(t, err)
	_, err = rec.file.WriteAt(make([]byte, 4), int64(chunkOffsets(b)[1]))
	do(t, err)
	s, err := rec.Seal(t.Context(), End{Reason: "exit"})
	do(t, err)
	if !s.Damaged {
		t.Error("not noticed")
	}
}

func TestRecoverRefusesAlteredHeader(t *testing.T) {
	for name, at := range map[string]int{"magic": 0, "preamble": len(magic) + 12, "key": len(magic) + 4 + 100} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1<<20)
			rec, other := l.open(t, sessionA), l.open(t, sessionB)
			do(t, other.Input([]byte("fine")))
			abandon(rec)
			abandon(other)
			b, err := os.ReadFile(l.path(sessionA))
			do(t, err)
			b[at] ^= 1
			do(t, os.WriteFile(l.path(sessionA), b, 0o600))
			got, err := l.Recover(t.Context())
			if err == nil || len(got) != 1 || got[0].ID != sessionB {
				t.Fatalf("%+v, %v", got, err)
			}
			if _, err := os.Stat(l.path(sessionA)); err != nil {
				t.Fatal("the altered file was removed")
			}
		})
	}
}

// chunkOffsets returns where each chunk begins, and where the last one ends.
func chunkOffsets(b []byte) []int {
	at := len(magic) + 4 + int(binary.BigEndian.Uint32(b[len(magic):])) + keySize + overhead
	offsets := []int{at}
	for {
		n := int(binary.BigEndian.Uint32(b[at:]))
		if n == 0 {
			return offsets
		}
		at += prefixSize + n
		offsets = append(offsets, at)
	}
}

func TestFIPSEnforced(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("this is the enforcing process")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^(TestSealedCast|TestRecover)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSealedCast")) {
		t.Fatalf("%v\n%s", err, out)
	}
}
