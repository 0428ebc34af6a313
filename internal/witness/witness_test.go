package witness

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

const origin = "strongroom/5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11/1"

// tree is a log: its hashes and its key.
type tree struct {
	t      testing.TB
	hashes []tlog.Hash
	size   int64
	signer note.Signer
	vkey   string
}

func (l *tree) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, x := range at {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func newTree(t testing.TB) *tree {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	l := &tree{t: t, vkey: vkey}
	if l.signer, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	return l
}

// grow appends n entries that say what.
func (l *tree) grow(n int, what string) *tree {
	for range n {
		more, err := ledger.Hashes(l.size, ledger.LeafHash(fmt.Appendf(nil, "%s %d", what, l.size)), l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
		l.size++
	}
	return l
}

// fork is another log of the same key whose first n entries are the same.
func (l *tree) fork(n int64) *tree {
	f := *l
	f.hashes, f.size = append([]tlog.Hash(nil), l.hashes[:ledger.StoredIndex(n)]...), n
	return &f
}

func (l *tree) note() []byte {
	root, err := ledger.Root(l.size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: l.size, Root: root}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// request asks for the newest checkpoint, proved from an older size.
func (l *tree) request(old int64) *Request {
	proof, err := ledger.ProveConsistency(l.size, old, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return &Request{Old: old, Proof: proof, Note: l.note()}
}

// site is a witness over HTTP that knows a log.
type site struct {
	t   testing.TB
	dir Directory
	key *ledger.Witness
	w   *Witness
	url string
}

func newSite(t testing.TB, l *tree) *site {
	t.Helper()
	s := &site{t: t, dir: Directory(filepath.Join(t.TempDir(), "witness"))}
	vkey, err := Init(s.dir, "witness.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if s.key, err = ledger.NewWitness(vkey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.dir.Trust(l.vkey, ""); err != nil {
		t.Fatal(err)
	}
	s.open()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { s.w.ServeHTTP(rw, r) }))
	t.Cleanup(func() {
		server.Close()
		if err := s.w.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	s.url = server.URL
	return s
}

func (s *site) open() {
	s.t.Helper()
	var err error
	if s.w, err = Open(s.dir, slog.New(slog.DiscardHandler)); err != nil {
		s.t.Fatal(err)
	}
}

// restart is the program ended and started again.
func (s *site) restart() {
	s.t.Helper()
	if err := s.w.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		s.t.Fatal(err)
	}
	s.open()
}

func (s *site) client() *Client {
	return &Client{URL: s.url + "/", Key: s.key, HTTP: http.DefaultClient}
}

func (s *site) add(r *Request) ([]byte, error) { return s.client().Add(s.t.Context(), r) }

// cosigned wants the request answered, and the answer to be a cosignature of now.
func (s *site) cosigned(r *Request) {
	s.t.Helper()
	line, err := s.add(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_, n, err := ledger.OpenCheckpoint(append(bytes.Clone(r.Note), line...), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	if at, ok := s.key.CosignedAt(n); !ok || time.Since(at) > time.Minute || time.Since(at) < -time.Minute {
		s.t.Errorf("cosigned at %s, %v", at, ok)
	}
}

// sizes are what the witness's history says.
func (s *site) sizes() (out []int64) {
	s.t.Helper()
	for c, err := range s.dir.History(origin) {
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, c.N)
	}
	return out
}

func (s *site) post(body string) (int, string, http.Header) {
	s.t.Helper()
	resp, err := http.Post(s.url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// TestProtocol has an answer of the specification for each kind of request.
func TestProtocol(t *testing.T) {
	l := newTree(t).grow(10, "entry")
	s := newSite(t, l)
	ten := l.note()
	s.cosigned(l.request(0))
	s.cosigned(l.request(10)) // again, with the time of now
	l.grow(7, "entry")
	stranger := newTree(t).grow(17, "entry")
	shorter := l.fork(5)
	rewritten := l.fork(9).grow(8, "forged")
	other := l.fork(9).grow(1, "forged")
	elsewhere := strings.Replace(string(l.request(10).Marshal()), origin, "strongroom/elsewhere/1", 1)
	badProof := l.request(10)
	badProof.Proof[0][3] ^= 1
	for name, c := range map[string]struct {
		body   string
		status int
		tells  string
	}{
		"old size of before":           {string(l.request(7).Marshal()), 409, "10\n"},
		"no old size":                  {string(l.request(0).Marshal()), 409, "10\n"},
		"old size that never was":      {string(l.request(11).Marshal()), 409, "10\n"},
		"fewer entries":                {string(shorter.request(5).Marshal()), 409, "10\n"},
		"another tree of that size":    {string(other.request(10).Marshal()), 409, "10\n"},
		"old size above the new":       {"old 10\n\n" + string(shorter.note()), 400, "greater"},
		"another history":              {string(rewritten.request(10).Marshal()), 422, "proof"},
		"altered proof":                {string(badProof.Marshal()), 422, "proof"},
		"no proof":                     {"old 10\n\n" + string(l.note()), 422, "proof"},
		"signed by a stranger":         {string(stranger.request(10).Marshal()), 403, "not signed"},
		"a signature of another size":  {"old 10\n\n" + strings.Replace(string(ten), "\n10\n", "\n11\n", 1), 403, "not signed"},
		"unknown log":                  {elsewhere, 404, "does not know"},
		"nothing":                      {"", 400, "expected"},
		"no checkpoint":                {"old 10\n\n", 400, "expected"},
		"no empty line":                {"old 10\n" + string(l.note()), 400, "not a hash"},
		"old size 010":                 {"old 010\n\n" + string(l.note()), 400, "old size"},
		"old size -1":                  {"old -1\n\n" + string(l.note()), 400, "old size"},
		"proof from nothing":           {"old 0\n" + tlog.Hash{}.String() + "\n\n" + string(l.note()), 400, "1 hashes"},
		"64 hashes":                    {"old 10\n" + strings.Repeat(tlog.Hash{}.String()+"\n", 64) + "\n" + string(l.note()), 400, "64 hashes"},
		"a hash that is none":          {"old 10\nAAAA\n\n" + string(l.note()), 400, "not a hash"},
		"a note without signatures":    {"old 10\n\n" + origin + "\n17\n", 400, "not a signed note"},
		"larger than any request":      {"old 10\n\n" + string(l.note()) + strings.Repeat("x", maxRequest), 413, "too large"},
		"the known log's name and key": {"old 10\n\n" + origin + "\n\n— " + origin + " AAAA\n", 400, "not a signed note"},
	} {
		status, body, header := s.post(c.body)
		if status != c.status || !strings.Contains(body, c.tells) {
			t.Errorf("%s: %d %q, want %d with %q", name, status, body, c.status, c.tells)
		}
		if is := header.Get("Content-Type") == "text/x.tlog.size"; is != (status == 409) {
			t.Errorf("%s: content type %q", name, header.Get("Content-Type"))
		}
	}
	if got := fmt.Sprint(s.sizes()); got != "[10 10]" {
		t.Errorf("after all refusals the history is %s", got)
	}
	s.cosigned(l.request(10))
	if got := fmt.Sprint(s.sizes()); got != "[10 10 17]" {
		t.Errorf("the history is %s", got)
	}
	for _, path := range []string{"/", "/add-checkpoint"} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 404 {
			t.Errorf("GET %s: %d", path, resp.StatusCode)
		}
	}
}

// TestEmptyTree: the first checkpoint may be over nothing, but then there is one root.
func TestEmptyTree(t *testing.T) {
	l := newTree(t)
	s := newSite(t, l)
	wrong, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Root: tlog.Hash{1}}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *Refusal
	if _, err := s.add(&Request{Note: wrong}); !errors.As(err, &refusal) || refusal.Status != 422 {
		t.Errorf("another root of nothing: %v", err)
	}
	s.cosigned(l.request(0))
	s.cosigned(l.grow(3, "entry").request(0))
	s.cosigned(l.request(3))
}

// TestRestart: what was cosigned is remembered, whenever the program ended.
func TestRestart(t *testing.T) {
	l := newTree(t).grow(4, "entry")
	s := newSite(t, l)
	s.cosigned(l.request(0))
	s.cosigned(l.grow(4, "entry").request(4))
	path := s.dir.historyPath(origin)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What was being written when the power failed was answered to nobody.
	for _, torn := range []string{"", "{", `{"note":"strongroom/`, "\x00\x00\x00\x00", string(whole[:len(whole)/2-9])} {
		if err := os.WriteFile(path, append(bytes.Clone(whole), torn...), 0o600); err != nil {
			t.Fatal(err)
		}
		s.restart()
		var conflict *Conflict
		if _, err := s.add(l.fork(4).grow(9, "forged").request(4)); !errors.As(err, &conflict) || conflict.Size != 8 {
			t.Errorf("after %q: %v", torn, err)
		}
		if got := fmt.Sprint(s.sizes()); got != "[4 8]" {
			t.Errorf("after %q the history is %s", torn, got)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, whole) {
			t.Errorf("after %q the file was not mended: %v", torn, err)
		}
	}
	s.restart()
	s.cosigned(l.grow(1, "entry").request(8))
}

// TestDamage: a witness that cannot know what it cosigned cosigns nothing.
func TestDamage(t *testing.T) {
	l := newTree(t).grow(4, "entry")
	for name, damage := range map[string]func([]byte) []byte{
		"one byte of the last record": func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"not its own record": func(b []byte) []byte {
			return append(b, fmt.Appendf(nil, "{\"note\":%q}\n", l.note())...)
		},
		"an empty line": func(b []byte) []byte { return append(b, '\n') },
		"no record":     func([]byte) []byte { return bytes.Repeat([]byte("x"), 3*maxLine) },
	} {
		s := newSite(t, l)
		s.cosigned(l.request(0))
		path := s.dir.historyPath(origin)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		s.restart()
		var refusal *Refusal
		if _, err := s.add(l.request(4)); !errors.As(err, &refusal) || refusal.Status != 500 || strings.Contains(refusal.Text, path) {
			t.Errorf("%s: %v", name, err)
		}
		var failed error
		for _, err := range s.dir.History(origin) {
			failed = err
		}
		if failed == nil {
			t.Errorf("%s: the history reads as if it were whole", name)
		}
	}
}

// TestDiskFails: nobody is answered for what may not be on disk, then or later.
func TestDiskFails(t *testing.T) {
	l := newTree(t).grow(4, "entry")
	s := newSite(t, l)
	s.cosigned(l.request(0))
	if err := s.w.logs[origin].history.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var refusal *Refusal
		if _, err := s.add(l.request(4)); !errors.As(err, &refusal) || refusal.Status != 500 {
			t.Errorf("the disk is gone: %v", err)
		}
	}
	s.restart()
	s.cosigned(l.request(4))
}

// TestRace: of many branches asked for at once one is cosigned, and the history
// grows by it alone.
func TestRace(t *testing.T) {
	l := newTree(t).grow(5, "entry")
	s := newSite(t, l)
	s.cosigned(l.request(0))
	for round := range 3 {
		branches := make([]*tree, 12)
		errs := make([]error, len(branches))
		var wg sync.WaitGroup
		for i := range branches {
			branches[i] = l.fork(l.size).grow(1+i%3, fmt.Sprintf("%d of %d", i, round))
			r := branches[i].request(l.size)
			wg.Go(func() { _, errs[i] = s.add(r) })
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			var conflict *Conflict
			switch {
			case err == nil && won >= 0:
				t.Fatalf("branches %d and %d were both cosigned", won, i)
			case err == nil:
				won = i
			case !errors.As(err, &conflict):
				t.Fatal(err)
			}
		}
		l = branches[won]
	}
	if got := s.sizes(); len(got) != 4 || got[3] != l.size {
		t.Errorf("the history is %v, the log has %d entries", got, l.size)
	}
}

func TestDirectory(t *testing.T) {
	l := newTree(t)
	s := newSite(t, l)
	if _, err := Open(s.dir, slog.New(slog.DiscardHandler)); fault.Of(err) != fault.Conflict {
		t.Errorf("a second witness in the directory: %v", err)
	}
	if _, err := Init(s.dir, "again"); fault.Of(err) != fault.Conflict {
		t.Errorf("a second key: %v", err)
	}
	if _, err := Open(Directory(t.TempDir()), slog.New(slog.DiscardHandler)); fault.Of(err) != fault.NotFound {
		t.Errorf("no witness: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", strings.Repeat("x", 201)} {
		if _, err := Init(Directory(t.TempDir()), name); fault.Of(err) != fault.Invalid {
			t.Errorf("a witness named %q: %v", name, err)
		}
	}
	if info, err := os.Stat(s.dir.keyPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	// A rotated key signs for the same log, as of the next request.
	next := newTree(t).grow(3, "entry")
	var refusal *Refusal
	if _, err := s.add(next.request(0)); !errors.As(err, &refusal) || refusal.Status != 403 {
		t.Errorf("before its key is known: %v", err)
	}
	for range 2 {
		if log, err := s.dir.Trust(next.vkey, origin); err != nil || len(log.Keys) != 2 {
			t.Fatalf("%+v, %v", log, err)
		}
	}
	s.cosigned(next.request(0))
	for _, bad := range []struct{ vkey, origin string }{{"x", ""}, {l.vkey, strings.Repeat("x", 81)}, {l.vkey, "a\nb"}} {
		if _, err := s.dir.Trust(bad.vkey, bad.origin); fault.Of(err) != fault.Invalid {
			t.Errorf("trusts %q: %v", bad, err)
		}
	}
}

// TestClient: whatever a witness answers, only its own cosignature counts.
func TestClient(t *testing.T) {
	l := newTree(t).grow(4, "entry")
	s := newSite(t, l)
	other := newSite(t, l)
	theirs, err := other.add(l.request(0))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.add(l.request(0))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		tells  string
	}{
		"another witness's":  {200, string(theirs), "not a cosignature"},
		"nothing":            {200, "", "not a cosignature"},
		"a page":             {200, "<html>", "not a cosignature"},
		"an altered one":     {200, strings.Replace(string(ours), "AAA", "BBB", 1), "not a cosignature"},
		"a size that is not": {409, "many", "status 409: many"},
		"control characters": {500, "\x1b[31mred\n", "status 500: [31mred"},
		"without end":        {500, strings.Repeat("y", 1<<20), "status 500: " + strings.Repeat("y", maxText)},
		"no words":           {502, "", "status 502"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(c.status)
			_, _ = io.WriteString(rw, c.body)
		}))
		client := &Client{URL: server.URL, Key: s.key, HTTP: http.DefaultClient}
		if line, err := client.Add(t.Context(), l.request(4)); line != nil || err == nil || !strings.Contains(err.Error(), c.tells) || len(err.Error()) > 400 {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		server.Close()
	}
	both := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(append(bytes.Clone(theirs), ours...))
	}))
	defer both.Close()
	client := &Client{URL: both.URL, Key: s.key, HTTP: http.DefaultClient}
	if line, err := client.Add(t.Context(), l.request(4)); err != nil || !bytes.Equal(line, ours) {
		t.Errorf("among others: %q, %v", line, err)
	}
}

func FuzzParseRequest(f *testing.F) {
	l := newTree(f).grow(9, "entry")
	f.Add(l.request(0).Marshal())
	f.Add(l.request(5).Marshal())
	f.Add([]byte("old 1\n\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil && !bytes.Equal(r.Marshal(), b) {
			t.Fatalf("%q is written %q", b, r.Marshal())
		}
	})
}

// FuzzAnswer: nothing is cosigned but what the log's key signed.
func FuzzAnswer(f *testing.F) {
	l := newTree(f).grow(9, "entry")
	s := newSite(f, l)
	text, _, _ := strings.Cut(string(l.note()), "\n\n")
	f.Add(l.request(0).Marshal())
	f.Add([]byte("old 9\n\n" + string(l.note())))
	f.Add([]byte("old 0\n\n" + origin + "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if line, err := s.w.answer(b); err == nil && !strings.Contains(string(b), "\n\n"+text+"\n\n") {
			t.Fatalf("%q was cosigned: %q", b, line)
		}
	})
}
