package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/strongroom/strongroom/internal/fault"
)

const (
	scopeA = "7d9f3a52-6f0e-4c8b-9a41-0c5f6f1e2d3a"
	scopeB = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"
)

// memKeys keeps data keys in memory; "" is the installation's.
type memKeys map[string][]byte

func (m memKeys) DataKey(_ context.Context, scope *string) ([]byte, error) {
	id := ""
	if scope != nil {
		id = *scope
	}
	if key, ok := m[id]; ok {
		return key, nil
	}
	return nil, fault.New(fault.NotFound, "The key of %q was destroyed.", id)
}

func testKeys() memKeys {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	return memKeys{"": key(1), scopeA: key(2), scopeB: key(3)}
}

func newStore(t testing.TB) (*Store, memKeys) {
	t.Helper()
	keys := testKeys()
	s, err := Open(filepath.Join(t.TempDir(), "blobs"), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s, keys
}

func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func put(t testing.TB, s *Store, scope *string, b []byte) Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), scope, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func get(s *Store, scope *string, digest string) ([]byte, error) {
	r, err := s.Get(context.Background(), scope, digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func ptr(s string) *string { return &s }

func TestRoundTrip(t *testing.T) {
	s, _ := newStore(t)
	sizes := []int{0, 1, 15, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize - 1, 3 * chunkSize, 1 << 20}
	for _, scope := range []*string{nil, ptr(scopeA)} {
		for _, size := range sizes {
			want := content(size)
			sum := sha256.Sum256(want)
			ref := put(t, s, scope, want)
			if ref.SHA256 != "sha256:"+hex.EncodeToString(sum[:]) || ref.Size != int64(size) {
				t.Fatalf("put of %d bytes: %+v", size, ref)
			}
			if stat, err := s.Stat(t.Context(), scope, ref.SHA256); err != nil || stat != ref {
				t.Fatalf("stat: %+v, %v", stat, err)
			}
			got, err := get(s, scope, ref.SHA256)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("get of %d bytes: %d bytes, %v", size, len(got), err)
			}
		}
	}
}

// A source that gives its bytes in odd pieces must not change the result.
func TestPutFromSlowReader(t *testing.T) {
	s, _ := newStore(t)
	want := content(2*chunkSize + 5)
	ref, err := s.Put(t.Context(), nil, iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(want))), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), nil, ref.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := iotest.TestReader(r, want); err != nil {
		t.Fatal(err)
	}
}

func TestPutBound(t *testing.T) {
	s, _ := newStore(t)
	tests := []struct {
		size int
		max  int64
		kind fault.Kind
	}{
		{0, 0, ""},
		{1, 0, fault.TooLarge},
		{chunkSize, chunkSize, ""},
		{chunkSize + 1, chunkSize, fault.TooLarge},
		{chunkSize, chunkSize - 1, fault.TooLarge},
		{3 * chunkSize, 2 * chunkSize, fault.TooLarge},
		{3 * chunkSize, 3 * chunkSize, ""},
	}
	for _, tt := range tests {
		_, err := s.Put(t.Context(), nil, bytes.NewReader(content(tt.size)), tt.max)
		if fault.Of(err) != tt.kind || (tt.kind == "") != (err == nil) {
			t.Errorf("%d bytes, bound %d: %v", tt.size, tt.max, err)
		}
	}
	wantNoTemp(t, s)
}

// An endless source is given up as soon as the bound is passed.
func TestPutEndless(t *testing.T) {
	s, _ := newStore(t)
	if _, err := s.Put(t.Context(), nil, neverEnds{}, 1<<20); fault.Of(err) != fault.TooLarge {
		t.Fatal(err)
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return len(p), nil }

func TestPutFailureLeavesNothing(t *testing.T) {
	s, _ := newStore(t)
	broken := errors.New("source broke")
	_, err := s.Put(t.Context(), nil, io.MultiReader(bytes.NewReader(content(chunkSize*2)), iotest.ErrReader(broken)), 1<<20)
	if !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, nil, bytes.NewReader(content(10)), 10); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	wantNoTemp(t, s)
	if files := storedFiles(t, s); len(files) != 0 {
		t.Fatalf("stored %v", files)
	}
}

func TestScopesAreApart(t *testing.T) {
	s, _ := newStore(t)
	b := []byte("the same text")
	ref := put(t, s, ptr(scopeA), b)
	if _, err := get(s, ptr(scopeB), ref.SHA256); fault.Of(err) != fault.NotFound {
		t.Fatalf("read through another scope: %v", err)
	}
	put(t, s, ptr(scopeB), b)
	put(t, s, nil, b)
	files := storedFiles(t, s)
	if len(files) != 3 {
		t.Fatalf("%d files, want one a scope: %v", len(files), files)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[filepath.Base(f)] = true
		if strings.Contains(f, strings.TrimPrefix(ref.SHA256, "sha256:")) {
			t.Errorf("the file name %s tells the digest", f)
		}
	}
	if len(names) != 3 {
		t.Errorf("equal content has equal names in two scopes: %v", files)
	}
}

func TestNothingInTheClear(t *testing.T) {
	s, _ := newStore(t)
	secret := []byte("patient 4711 has measles")
	put(t, s, ptr(scopeA), bytes.Repeat(secret, 100))
	for _, f := range storedFiles(t, s) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, secret[:8]) {
			t.Errorf("%s holds plaintext", f)
		}
		if info, _ := os.Stat(f); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, info.Mode())
		}
	}
}

func TestDestroyedKey(t *testing.T) {
	s, keys := newStore(t)
	ref := put(t, s, ptr(scopeA), []byte("x"))
	delete(keys, scopeA)
	if _, err := get(s, ptr(scopeA), ref.SHA256); fault.Of(err) != fault.NotFound {
		t.Fatalf("get: %v", err)
	}
	if err := s.DeleteScope(t.Context(), scopeA); err != nil {
		t.Fatal(err)
	}
	if files := storedFiles(t, s); len(files) != 0 {
		t.Fatalf("left: %v", files)
	}
	if err := s.DeleteScope(t.Context(), installation); fault.Of(err) != fault.Invalid {
		t.Fatalf("deleted the installation's blobs: %v", err)
	}
}

func TestDelete(t *testing.T) {
	s, _ := newStore(t)
	ref := put(t, s, nil, []byte("x"))
	for range 2 {
		if err := s.Delete(t.Context(), nil, ref.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Stat(t.Context(), nil, ref.SHA256); fault.Of(err) != fault.NotFound {
		t.Fatal(err)
	}
}

func TestInvalidNames(t *testing.T) {
	s, _ := newStore(t)
	good := put(t, s, nil, []byte("x")).SHA256
	for _, scope := range []string{"", "..", "../../etc", strings.ToUpper(scopeA), scopeA + "/x", installation} {
		if _, err := s.Get(t.Context(), &scope, good); fault.Of(err) != fault.Invalid {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
	for _, digest := range []string{"", "sha256:", good[7:], strings.ToUpper(good), good + "00", "sha256:../../x", "md5:00"} {
		if _, err := s.Get(t.Context(), nil, digest); fault.Of(err) != fault.Invalid {
			t.Errorf("digest %q: %v", digest, err)
		}
		if err := s.Delete(t.Context(), nil, digest); fault.Of(err) != fault.Invalid {
			t.Errorf("delete %q: %v", digest, err)
		}
	}
}

// Every way to change a file is noticed before a wrong byte is handed out.
func TestTampering(t *testing.T) {
	want := content(3*chunkSize + 100)
	second := content(3*chunkSize + 99)
	const sealed = chunkSize + overhead
	chunkAt := func(b []byte, i int) []byte { return b[int(headerSize)+i*sealed:][:sealed] }
	tests := map[string]func(file, other []byte) []byte{
		"empty":           func(b, _ []byte) []byte { return nil },
		"header cut":      func(b, _ []byte) []byte { return b[:headerSize-1] },
		"only header":     func(b, _ []byte) []byte { return b[:headerSize] },
		"last byte cut":   func(b, _ []byte) []byte { return b[:len(b)-1] },
		"last chunk cut":  func(b, _ []byte) []byte { return b[:int(headerSize)+3*sealed] },
		"byte appended":   func(b, _ []byte) []byte { return append(b, 0) },
		"chunk appended":  func(b, _ []byte) []byte { return append(b, chunkAt(b, 2)...) },
		"magic":           func(b, _ []byte) []byte { b[0] ^= 1; return b },
		"version":         func(b, _ []byte) []byte { b[len(magic)-1]++; return b },
		"other's header":  func(b, o []byte) []byte { copy(b, o[:headerSize]); return b },
		"other's file":    func(_, o []byte) []byte { return o },
		"other's chunk":   func(b, o []byte) []byte { copy(chunkAt(b, 1), chunkAt(o, 1)); return b },
		"chunks swapped":  func(b, _ []byte) []byte { swap(chunkAt(b, 0), chunkAt(b, 1)); return b },
		"chunk repeated":  func(b, _ []byte) []byte { copy(chunkAt(b, 1), chunkAt(b, 0)); return b },
		"bit in a chunk":  func(b, _ []byte) []byte { chunkAt(b, 1)[500] ^= 0x80; return b },
		"bit in last tag": func(b, _ []byte) []byte { b[len(b)-1] ^= 1; return b },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			ref := put(t, s, ptr(scopeA), want)
			other := put(t, s, ptr(scopeA), second)
			path := storedPath(t, s, scopeA, ref)
			file, otherFile := mustRead(t, path), mustRead(t, storedPath(t, s, scopeA, other))
			if err := os.WriteFile(path, change(file, otherFile), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := get(s, ptr(scopeA), ref.SHA256)
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
			if !bytes.HasPrefix(want, got) {
				t.Fatal("wrong bytes were handed out")
			}
			// Putting it again repairs it.
			put(t, s, ptr(scopeA), want)
			if got, err := get(s, ptr(scopeA), ref.SHA256); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("after repair: %v", err)
			}
		})
	}
}

// A small file is tried at every byte.
func TestEveryByteMatters(t *testing.T) {
	s, _ := newStore(t)
	ref := put(t, s, nil, []byte("twelve bytes"))
	path := storedPath(t, s, installation, ref)
	file := mustRead(t, path)
	for i := range file {
		changed := slices.Clone(file)
		changed[i] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := get(s, nil, ref.SHA256); !errors.Is(err, ErrCorrupt) || len(got) > 0 {
			t.Fatalf("byte %d altered: %q, %v", i, got, err)
		}
	}
}

// A file moved to another scope's directory does not open there, even if the
// data keys were equal.
func TestFileOfAnotherScope(t *testing.T) {
	s, keys := newStore(t)
	keys[scopeB] = keys[scopeA]
	ref := put(t, s, ptr(scopeA), []byte("x"))
	put(t, s, ptr(scopeB), []byte("x"))
	from, to := storedPath(t, s, scopeA, ref), storedPath(t, s, scopeB, ref)
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := get(s, ptr(scopeB), ref.SHA256); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

func TestGetEndsWithContext(t *testing.T) {
	s, _ := newStore(t)
	ref := put(t, s, nil, content(3*chunkSize))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Get(ctx, nil, ref.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestReadAfterClose(t *testing.T) {
	s, _ := newStore(t)
	ref := put(t, s, nil, content(3*chunkSize))
	r, err := s.Get(t.Context(), nil, ref.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	r.Read(make([]byte, 10))
	r.Close()
	if n, err := r.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Fatalf("read %d bytes after Close, %v", n, err)
	}
}

// Open removes what a crash left, and not what another Put is writing.
func TestAbandonedFilesAreRemoved(t *testing.T) {
	s, keys := newStore(t)
	incoming := filepath.Join(s.dir, tempDir)
	if err := os.WriteFile(filepath.Join(incoming, "put-crashed"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	live, err := createTemp(incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer live.discard()
	if _, err := Open(s.dir, keys); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(incoming)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != filepath.Base(live.Name()) {
		t.Fatalf("left: %v", entries)
	}
}

func TestConcurrentPuts(t *testing.T) {
	s, _ := newStore(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			b := content(chunkSize + i%4)
			ref, err := s.Put(context.Background(), nil, bytes.NewReader(b), 1<<20)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := get(s, nil, ref.SHA256); err != nil || !bytes.Equal(got, b) {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
	if n := len(storedFiles(t, s)); n != 4 {
		t.Fatalf("%d files, want 4", n)
	}
}

// The whole package runs where only FIPS 140-3 approved cryptography may: the
// enforcing mode panics or fails on anything else.
func TestFIPSEnforced(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("this is the enforcing process")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^(TestRoundTrip|TestTampering|TestScopesAreApart)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestRoundTrip")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func BenchmarkPut(b *testing.B) {
	s, _ := newStore(b)
	for _, size := range []int{1 << 10, 1 << 20} {
		data := content(size)
		b.Run(byteCount(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := s.Put(b.Context(), nil, bytes.NewReader(data), 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func byteCount(n int) string {
	if n >= 1<<20 {
		return "1MiB"
	}
	return "1KiB"
}

func swap(a, b []byte) {
	tmp := slices.Clone(a)
	copy(a, b)
	copy(b, tmp)
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func storedPath(t testing.TB, s *Store, dir string, ref Ref) string {
	t.Helper()
	var scope *string
	if dir != installation {
		scope = &dir
	}
	k, err := s.scopeKeys(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return s.path(k, ref.SHA256)
}

func storedFiles(t testing.TB, s *Store) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantNoTemp(t testing.TB, s *Store) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, tempDir))
	if err != nil || len(entries) > 0 {
		t.Fatalf("left in %s: %v, %v", tempDir, entries, err)
	}
}
