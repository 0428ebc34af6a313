package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
)

// testWitness cosigns at a given time; it is a note.Signer.
type testWitness struct {
	name string
	key  ed25519.PrivateKey
	at   int64
}

func newTestWitness(t testing.TB, name string) *testWitness {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &testWitness{name: name, key: key}
}

func (w *testWitness) public() ed25519.PublicKey { return w.key.Public().(ed25519.PublicKey) }
func (w *testWitness) Name() string              { return w.name }
func (w *testWitness) KeyHash() uint32           { return witnessHash(w.name, w.public()) }

func (w *testWitness) Sign(msg []byte) ([]byte, error) {
	text := fmt.Sprintf("cosignature/v1\ntime %d\n%s", w.at, msg)
	return append(binary.BigEndian.AppendUint64(nil, uint64(w.at)), ed25519.Sign(w.key, []byte(text))...), nil
}

func (w *testWitness) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", w.name, w.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{4}, w.public()...)))
}

func TestWitness(t *testing.T) {
	c := Checkpoint{Origin: Origin(installation, 1), Size: 5}
	logSigner, logKey := testKey(t, c.Origin)
	witness := newTestWitness(t, "witness.example.org")
	witness.at = 1772409600
	w, err := NewWitness(witness.vkey())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := SignCheckpoint(c, logSigner, witness)
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := OpenCheckpoint(signed, logKey, w)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := w.CosignedAt(n); !ok || !at.Equal(time.Unix(witness.at, 0)) {
		t.Errorf("cosigned at %v, %v", at, ok)
	}
	if _, n, err = OpenCheckpoint(signed, logKey); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.CosignedAt(n); ok {
		t.Error("an unverified cosignature counts")
	}
	// The time is signed too.
	lines := strings.Split(string(signed), "\n")
	raw, err := base64.StdEncoding.DecodeString(strings.Fields(lines[5])[2])
	if err != nil {
		t.Fatal(err)
	}
	raw[11]++
	lines[5] = "— witness.example.org " + base64.StdEncoding.EncodeToString(raw)
	if _, _, err := OpenCheckpoint([]byte(strings.Join(lines, "\n")), logKey, w); fault.Of(err) != fault.Invalid {
		t.Errorf("another time: %v", err)
	}
	if other, err := NewWitness(newTestWitness(t, "witness.example.org").vkey()); err != nil || other.SameKey(w) || !w.SameKey(w) {
		t.Errorf("SameKey, %v", err)
	}
}

func TestNewWitnessRefuses(t *testing.T) {
	good := newTestWitness(t, "witness.example.org").vkey()
	_, logKey, err := note.GenerateKey(rand.Reader, "log")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "a+b", good[1:], good[:len(good)-4], strings.Replace(good, "+", "+0", 1), logKey} {
		if _, err := NewWitness(bad); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
