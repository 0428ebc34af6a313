package secret

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/fault"
)

// shelf keeps sealed values and keys in memory, where tests can alter them.
type shelf struct {
	mu     sync.Mutex
	keys   map[string]WrappedKey
	sealed map[string]Sealed
}

func (s *shelf) WrappedKey(_ context.Context, scope string) (WrappedKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[scope]; ok {
		return k, nil
	}
	return WrappedKey{}, fault.New(fault.NotFound, "there is no key for this scope")
}

func (s *shelf) Sealed(_ context.Context, id string) (Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.sealed[id]; ok {
		return v, nil
	}
	return Sealed{}, fault.New(fault.NotFound, "there is no such sealed value")
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// lab is a keyring with two scopes.
type lab struct {
	*Keyring
	shelf  *shelf
	master string
	a, b   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		shelf: &shelf{keys: map[string]WrappedKey{}, sealed: map[string]Sealed{}}, a: uuid.NewString(), b: uuid.NewString(),
		master: filepath.Join(t.TempDir(), "master.key"),
	}
	if err := CreateMasterFile(l.master); err != nil {
		t.Fatal(err)
	}
	l.Keyring = NewKeyring(must[KeyWrapper](t)(OpenMasterFile(l.master)), l.shelf)
	for _, scope := range []string{l.a, l.b, Installation} {
		l.shelf.keys[scope] = must[WrappedKey](t)(l.NewKey(t.Context(), scope))
	}
	return l
}

// fresh is the keyring of another start of the program.
func (l *lab) fresh(t *testing.T) *Keyring {
	t.Helper()
	return NewKeyring(must[KeyWrapper](t)(OpenMasterFile(l.master)), l.shelf)
}

func (l *lab) seal(t *testing.T, scope, text string) Sealed {
	t.Helper()
	s := must[Sealed](t)(l.Seal(t.Context(), scope, NewValue([]byte(text))))
	l.shelf.sealed[s.ID] = s
	return s
}

func TestSealAndOpen(t *testing.T) {
	l := newLab(t)
	for _, scope := range []string{l.a, Installation} {
		for _, text := range []string{"hunter2", "", strings.Repeat("x", 1<<20)} {
			s := l.seal(t, scope, text)
			if s.Scope != scope || s.Key != l.shelf.keys[scope].ID || bytes.Contains(s.Ciphertext, []byte("hunter2")) {
				t.Errorf("sealed as %+v", s)
			}
			for _, k := range []*Keyring{l.Keyring, l.fresh(t)} {
				if got := must[Value](t)(k.Open(t.Context(), s.ID, s.Digest())); string(got.Reveal()) != text {
					t.Errorf("%d bytes came back, %d were sealed", len(got.Reveal()), len(text))
				}
			}
		}
	}
	// The same twice is two different things.
	x, y := l.seal(t, l.a, "same"), l.seal(t, l.a, "same")
	if x.ID == y.ID || bytes.Equal(x.Ciphertext, y.Ciphertext) {
		t.Error("sealing the same value twice gave the same")
	}
}

// TestFreshScope seals under a key that is not stored yet.
func TestFreshScope(t *testing.T) {
	l := newLab(t)
	scope := uuid.NewString()
	w := must[WrappedKey](t)(l.NewKey(t.Context(), scope))
	s := must[Sealed](t)(l.SealWith(t.Context(), w, NewValue([]byte("early"))))
	if _, err := l.Seal(t.Context(), scope, NewValue([]byte("x"))); fault.Of(err) != fault.NotFound {
		t.Errorf("sealing under a key that is not stored: %v, want not found", err)
	}
	l.shelf.keys[scope], l.shelf.sealed[s.ID] = w, s
	if got := must[Value](t)(l.Open(t.Context(), s.ID, s.Digest())); string(got.Reveal()) != "early" {
		t.Errorf("got %q", got.Reveal())
	}
}

// TestAltered alters what is stored in each way that it can be.
func TestAltered(t *testing.T) {
	tests := map[string]func(l *lab, s *Sealed){
		"a bit of the ciphertext":     func(_ *lab, s *Sealed) { s.Ciphertext[len(s.Ciphertext)/2] ^= 1 },
		"the tag":                     func(_ *lab, s *Sealed) { s.Ciphertext[len(s.Ciphertext)-1] ^= 1 },
		"the nonce":                   func(_ *lab, s *Sealed) { s.Ciphertext[0] ^= 1 },
		"cut short":                   func(_ *lab, s *Sealed) { s.Ciphertext = s.Ciphertext[:5] },
		"emptied":                     func(_ *lab, s *Sealed) { s.Ciphertext = nil },
		"in another scope":            func(l *lab, s *Sealed) { s.Scope = l.b },
		"in the installation's scope": func(_ *lab, s *Sealed) { s.Scope = Installation },
		"under another key's id":      func(_ *lab, s *Sealed) { s.Key = uuid.NewString() },
		"another value of the scope in its place": func(l *lab, s *Sealed) {
			for _, other := range l.shelf.sealed {
				if other.ID != s.ID {
					s.Ciphertext = other.Ciphertext
				}
			}
		},
		"the data key of another scope in its place": func(l *lab, _ *Sealed) {
			k := l.shelf.keys[l.a]
			k.Wrapped = l.shelf.keys[l.b].Wrapped
			l.shelf.keys[l.a] = k
		},
		"a bit of the wrapped key": func(l *lab, _ *Sealed) { l.shelf.keys[l.a].Wrapped[20] ^= 1 },
	}
	for name, alter := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.seal(t, l.a, "another")
			s := l.seal(t, l.a, "hunter2")
			s.Ciphertext = bytes.Clone(s.Ciphertext)
			alter(l, &s)
			l.shelf.sealed[s.ID] = s
			// The digest is that of what now lies there: only the key can tell.
			v, err := l.fresh(t).Open(t.Context(), s.ID, s.Digest())
			if err == nil || v.Reveal() != nil || fault.Of(err) != "" {
				t.Errorf("%q, %v, want an internal error", v.Reveal(), err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// TestDigest refuses a value that is whole and not the one that the ledger names.
func TestDigest(t *testing.T) {
	l := newLab(t)
	old, s := l.seal(t, l.a, "old"), l.seal(t, l.a, "new")
	if _, err := l.Open(t.Context(), s.ID, old.Digest()); err == nil || fault.Of(err) != "" {
		t.Errorf("%v, want an internal error", err)
	}
	if _, err := l.Open(t.Context(), uuid.NewString(), s.Digest()); fault.Of(err) != fault.NotFound {
		t.Errorf("a value that is not there: %v, want not found", err)
	}
}

func TestDestroyedKey(t *testing.T) {
	l := newLab(t)
	s, kept := l.seal(t, l.a, "gone"), l.seal(t, l.b, "kept")
	bulk := must[[]byte](t)(l.DataKey(t.Context(), &l.a))
	k := l.shelf.keys[l.a]
	k.Wrapped = nil
	l.shelf.keys[l.a] = k
	l.Forget(l.a)
	for name, keyring := range map[string]*Keyring{"the same keyring": l.Keyring, "after a restart": l.fresh(t)} {
		if _, err := keyring.Open(t.Context(), s.ID, s.Digest()); fault.Of(err) != fault.NotFound {
			t.Errorf("%s: open: %v, want not found", name, err)
		}
		if _, err := keyring.Seal(t.Context(), l.a, NewValue([]byte("x"))); fault.Of(err) != fault.NotFound {
			t.Errorf("%s: seal: %v, want not found", name, err)
		}
		if _, err := keyring.DataKey(t.Context(), &l.a); fault.Of(err) != fault.NotFound {
			t.Errorf("%s: bulk key: %v, want not found", name, err)
		}
		if got := must[Value](t)(keyring.Open(t.Context(), kept.ID, kept.Digest())); string(got.Reveal()) != "kept" {
			t.Errorf("%s: another scope's value is %q", name, got.Reveal())
		}
	}
	if bytes.Equal(bulk, make([]byte, len(bulk))) {
		t.Error("a key that was handed out was cleared under its holder's hands")
	}
	l.Forget(uuid.NewString()) // of a scope that is not there
}

// TestForgetWhileInUse destroys a key while others seal with it.
func TestForgetWhileInUse(t *testing.T) {
	l := newLab(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				s, err := l.Seal(t.Context(), l.a, NewValue([]byte("x")))
				if err != nil {
					t.Error(err)
					return
				}
				l.shelf.mu.Lock()
				l.shelf.sealed[s.ID] = s
				l.shelf.mu.Unlock()
				if _, err := l.Open(t.Context(), s.ID, s.Digest()); err != nil {
					t.Errorf("sealed under a key that was being cleared: %v", err)
				}
				l.Forget(l.a)
			}
		})
	}
	wg.Wait()
}

func TestBulkKeys(t *testing.T) {
	l := newLab(t)
	a := must[[]byte](t)(l.DataKey(t.Context(), &l.a))
	again := must[[]byte](t)(l.fresh(t).DataKey(t.Context(), &l.a))
	b := must[[]byte](t)(l.DataKey(t.Context(), &l.b))
	own := must[[]byte](t)(l.DataKey(t.Context(), nil))
	if len(a) != KeySize || !bytes.Equal(a, again) || bytes.Equal(a, b) || bytes.Equal(a, own) {
		t.Error("bulk keys are not one for each scope")
	}
	if raw := must[dataKey](t)(l.dataKey(t.Context(), l.a)); bytes.Equal(raw.key, a) {
		t.Error("the data key has two uses")
	}
	if x := must[[]byte](t)(Derive(a, "other", KeySize)); bytes.Equal(x, must[[]byte](t)(Derive(a, "bulk", KeySize))) {
		t.Error("a purpose does not change the key")
	}
}

func TestMasterFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	if err := CreateMasterFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != KeySize {
		t.Errorf("%v, %v", info, err)
	}
	before := must[[]byte](t)(os.ReadFile(path))
	if err := CreateMasterFile(path); fault.Of(err) != fault.Conflict {
		t.Errorf("over an existing key: %v, want a conflict", err)
	}
	if !bytes.Equal(before, must[[]byte](t)(os.ReadFile(path))) {
		t.Error("the key was overwritten")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMasterFile(path); fault.Of(err) != fault.Invalid {
			t.Errorf("mode %04o: %v, want invalid", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMasterFile(path); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	for _, size := range []int{0, 16, 31, 33, 64} {
		odd := filepath.Join(dir, fmt.Sprint("odd-", size))
		if err := os.WriteFile(odd, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMasterFile(odd); fault.Of(err) != fault.Invalid {
			t.Errorf("%d bytes: %v, want invalid", size, err)
		}
	}
	if _, err := OpenMasterFile(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was opened")
	}
	if err := CreateMasterFile(filepath.Join(dir, "no", "such", "dir")); err == nil {
		t.Error("a key was made in a directory that is not there")
	}
}

// TestWrapping binds a wrapped key to its context and its master key.
func TestWrapping(t *testing.T) {
	salt := []byte("0123456789abcdef")
	w := must[KeyWrapper](t)(OpenPassphrase(NewValue([]byte("correct horse battery staple")), salt))
	same := must[KeyWrapper](t)(OpenPassphrase(NewValue([]byte("correct horse battery staple")), salt))
	other := must[KeyWrapper](t)(OpenPassphrase(NewValue([]byte("correct horse battery stapler")), salt))
	salted := must[KeyWrapper](t)(OpenPassphrase(NewValue([]byte("correct horse battery staple")), []byte("0123456789abcdeF")))
	key := bytes.Repeat([]byte{7}, KeySize)
	wrapped := must[[]byte](t)(w.Wrap(t.Context(), key, "scope a"))
	if got := must[[]byte](t)(same.Unwrap(t.Context(), wrapped, "scope a")); !bytes.Equal(got, key) {
		t.Error("the same passphrase does not unwrap")
	}
	for name, unwrap := range map[string]func() ([]byte, error){
		"another context":    func() ([]byte, error) { return w.Unwrap(t.Context(), wrapped, "scope b") },
		"another passphrase": func() ([]byte, error) { return other.Unwrap(t.Context(), wrapped, "scope a") },
		"another salt":       func() ([]byte, error) { return salted.Unwrap(t.Context(), wrapped, "scope a") },
		"nothing":            func() ([]byte, error) { return w.Unwrap(t.Context(), nil, "scope a") },
	} {
		if got, err := unwrap(); err == nil {
			t.Errorf("%s unwrapped %x", name, got)
		}
	}
	for _, bad := range []struct{ passphrase, salt string }{{"fifteen letters", string(salt)}, {"correct horse battery staple", "short"}} {
		if _, err := OpenPassphrase(NewValue([]byte(bad.passphrase)), []byte(bad.salt)); fault.Of(err) != fault.Invalid {
			t.Errorf("%q with salt %q: %v, want invalid", bad.passphrase, bad.salt, err)
		}
	}
}

func TestSaltFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.salt")
	passphrase := NewValue([]byte("correct horse battery staple"))
	if err := CreateSaltFile(t.Context(), path, NewValue([]byte("fifteen letters"))); fault.Of(err) != fault.Invalid {
		t.Errorf("a short passphrase: %v, want invalid", err)
	}
	if err := CreateSaltFile(t.Context(), path, passphrase); err != nil {
		t.Fatal(err)
	}
	if err := CreateSaltFile(t.Context(), path, passphrase); fault.Of(err) != fault.Conflict {
		t.Errorf("again: %v, want a conflict", err)
	}
	key := bytes.Repeat([]byte{7}, KeySize)
	wrapped := must[[]byte](t)(must[KeyWrapper](t)(OpenSaltFile(t.Context(), path, passphrase)).Wrap(t.Context(), key, "scope a"))
	if got := must[[]byte](t)(must[KeyWrapper](t)(OpenSaltFile(t.Context(), path, passphrase)).Unwrap(t.Context(), wrapped, "scope a")); !bytes.Equal(got, key) {
		t.Error("opened again, it does not unwrap")
	}
	if _, err := OpenSaltFile(t.Context(), path, NewValue([]byte("correct horse battery stapler"))); fault.Of(err) != fault.Invalid {
		t.Errorf("another passphrase: %v, want invalid", err)
	}
	b := must[[]byte](t)(os.ReadFile(path))
	for name, content := range map[string][]byte{"salt": append([]byte{b[0] ^ 1}, b[1:]...), "short": b[:saltSize], "long": append(bytes.Clone(b), 0), "empty": nil} {
		odd := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(odd, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSaltFile(t.Context(), odd, passphrase); fault.Of(err) != fault.Invalid {
			t.Errorf("altered, %s: %v, want invalid", name, err)
		}
	}
	if _, err := OpenSaltFile(t.Context(), filepath.Join(t.TempDir(), "none"), passphrase); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestPasswords(t *testing.T) {
	const password = "a password that is long enough"
	hash := must[Value](t)(HashPassword(password))
	if again := must[Value](t)(HashPassword(password)); bytes.Equal(hash.Reveal(), again.Reveal()) {
		t.Error("two hashes have the same salt")
	}
	if bytes.Contains(hash.Reveal(), []byte(password)) || !bytes.HasPrefix(hash.Reveal(), []byte("pbkdf2-sha256$600000$")) {
		t.Errorf("hash %q", hash.Reveal())
	}
	if !CheckPassword(hash, password) {
		t.Error("the right password was refused")
	}
	for _, wrong := range []string{"", "a password that is long enougH", password + " ", strings.TrimSuffix(password, "h")} {
		if CheckPassword(hash, wrong) {
			t.Errorf("%q was taken", wrong)
		}
	}
	if _, err := HashPassword("fourteen chars"); fault.Of(err) != fault.Invalid {
		t.Errorf("a short password: %v, want invalid", err)
	}
	parts := strings.Split(string(hash.Reveal()), "$")
	for _, broken := range []string{
		"", "$$$", parts[2], strings.Join(parts[:3], "$"), string(hash.Reveal()) + "$", "md5$" + strings.Join(parts[1:], "$"),
		"pbkdf2-sha256$0$" + parts[2] + "$" + parts[3], "pbkdf2-sha256$-1$" + parts[2] + "$" + parts[3],
		"pbkdf2-sha256$99999999999$" + parts[2] + "$" + parts[3], "pbkdf2-sha256$600000$!$" + parts[3], "pbkdf2-sha256$600000$" + parts[2] + "$",
		"pbkdf2-sha256$600000$" + parts[2] + "$!",
	} {
		if CheckPassword(NewValue([]byte(broken)), password) {
			t.Errorf("%q took the password", broken)
		}
		if broken != "" && strings.HasSuffix(broken, "$") && CheckPassword(NewValue([]byte(broken)), "") {
			t.Errorf("%q took the empty password", broken)
		}
	}
	if CheckPassword(Value{}, password) || CheckPassword(Value{}, "") {
		t.Error("no hash took a password")
	}
}

const canary = "CANARY-hunter2"

// holder is how commands hold secrets.
type holder struct {
	Public  Value
	Pointer *Value
	Map     map[string]*Value
	List    []Value
	private Value
	inner   struct{ deep Value }
	mapped  map[string]Value
}

func newHolder() *holder {
	v := func() Value { return NewValue([]byte(canary)) }
	x, y := v(), v()
	h := &holder{Public: v(), Pointer: &x, Map: map[string]*Value{"a": &y}, List: []Value{v()}, private: v(), mapped: map[string]Value{"b": v()}}
	h.inner.deep = v()
	return h
}

// told reports whether a text has the canary, in letters, as numbers or in hex.
func told(text string) bool {
	for _, form := range []string{canary, "hunter2", fmt.Sprint([]byte(canary)), fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%#v", []byte(canary))} {
		if strings.Contains(text, form) || strings.Contains(text, strings.Trim(form, "[]")) {
			return true
		}
	}
	return strings.Contains(text, "67 65 78 65 82 89") || strings.Contains(text, "0x43, 0x41, 0x4e")
}

// TestValuesDoNotPrint prints a secret in every way, alone and inside of what
// holds it.
func TestValuesDoNotPrint(t *testing.T) {
	h := newHolder()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%b", "%c", "%U", "%08.3f", "%T", "%p", "% x", "%w"} {
		for _, x := range []any{h.Public, h.Pointer, h.Map, h.List, *h, h, []any{h.Public}, struct{ v Value }{h.private}, h.inner, h.mapped} {
			if text := fmt.Sprintf(verb, x); told(text) {
				t.Errorf("Sprintf(%q, %T) tells: %s", verb, x, text)
			}
		}
	}
	if got := fmt.Sprintf("%v %s %+v %#v %d", h.Public, h.Public, h.Public, h.Public, h.Public); got != strings.TrimSuffix(strings.Repeat(hidden+" ", 5), " ") {
		t.Errorf("alone it prints %q", got)
	}
	for name, text := range map[string]string{
		"Sprint": fmt.Sprint(h.Public, h), "Errorf": fmt.Errorf("no: %v: %w", *h, errors.New(h.Public.String())).Error(),
		"a Stringer": h.Public.String(),
	} {
		if told(text) {
			t.Errorf("%s tells: %s", name, text)
		}
	}
}

func TestValuesDoNotLog(t *testing.T) {
	h := newHolder()
	var buf bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
		log := slog.New(handler).With("with", h.Public, "holder", *h)
		log.Info("x", "value", h.Public, "pointer", h.Pointer, "map", h.Map, "list", h.List, "holder", h, "copy", *h, "any", slog.AnyValue(h.private))
		log.WithGroup("g").Info(fmt.Sprint(h), slog.Any("inner", h.inner))
	}
	if told(buf.String()) || !strings.Contains(buf.String(), "value="+hidden) || !strings.Contains(buf.String(), `"value":"`+hidden+`"`) {
		t.Errorf("the log: %s", buf.String())
	}
}

func TestValuesDoNotMarshal(t *testing.T) {
	h := newHolder()
	for _, x := range []any{h.Public, h.Pointer, h.Map, h.List, *h, h, map[string]any{"x": h.Public}} {
		if b, err := json.Marshal(x); err == nil || told(string(b)) || told(err.Error()) {
			t.Errorf("JSON of %T: %s, %v, want an error", x, b, err)
		}
	}
	if b, err := xml.Marshal(h.Public); err == nil || told(string(b)) {
		t.Errorf("XML: %s, %v, want an error", b, err)
	}
	var buf bytes.Buffer
	gob.NewEncoder(&buf).Encode(h.Public) //nolint:errcheck // it may fail: that is as good
	if told(buf.String()) {
		t.Errorf("gob: %x", buf.Bytes())
	}
	if b, err := json.Marshal(struct {
		Name    string
		private Value
	}{"x", h.private}); err != nil || told(string(b)) {
		t.Errorf("an unexported member: %s, %v", b, err)
	}
}

func TestZeroValue(t *testing.T) {
	var v Value
	if v.Reveal() != nil || fmt.Sprint(v) != hidden || len(NewValue(nil).Reveal()) != 0 {
		t.Errorf("%v, %q", v, v.Reveal())
	}
	if reflect.TypeOf(v).Comparable() {
		t.Error("secrets can be compared with ==")
	}
}

// TestUnderFIPS runs all of this again in a process that allows approved
// algorithms only.
func TestUnderFIPS(t *testing.T) {
	const mark = "STRONGROOM_TEST_FIPS"
	if os.Getenv(mark) != "" {
		if !fips140.Enabled() {
			t.Error("FIPS mode is not on")
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1", "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []string{"TestUnderFIPS", "TestSealAndOpen", "TestPasswords", "TestWrapping"} {
		if !strings.Contains(string(out), "--- PASS: "+test) {
			t.Errorf("%s did not run:\n%s", test, out)
		}
	}
}
