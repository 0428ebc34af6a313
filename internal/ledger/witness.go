package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
)

// algCosignature is the type of a witness's key and signature in C2SP
// tlog-cosignature: Ed25519 with a time.
const algCosignature = 0x04

// Witness verifies the cosignatures of one witness key. It is a note.Verifier,
// which x/mod's note does not have for this type; give it to OpenCheckpoint.
type Witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var _ note.Verifier = (*Witness)(nil)

// NewWitness reads a witness's verifier key: name+hash+base64(0x04 ‖ key).
func NewWitness(vkey string) (*Witness, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash16, key64, _ := strings.Cut(rest, "+")
	hash, err1 := strconv.ParseUint(hash16, 16, 32)
	key, err2 := base64.StdEncoding.Strict().DecodeString(key64)
	if len(hash16) != 8 || err1 != nil || err2 != nil || name == "" || len(key) != 1+ed25519.PublicKeySize {
		return nil, fault.New(fault.Invalid, "malformed witness key: name+hash+base64 is expected")
	}
	if key[0] != algCosignature {
		return nil, fault.New(fault.Invalid, "key of %s is of type %#x, a witness's key is of type 0x04", name, key[0])
	}
	if uint32(hash) != witnessHash(name, key[1:]) {
		return nil, fault.New(fault.Invalid, "the hash in the key of witness %s does not match", name)
	}
	return &Witness{name: name, hash: uint32(hash), key: key[1:]}, nil
}

// witnessHash identifies a key in signature lines.
func witnessHash(name string, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{algCosignature})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// Name returns the witness's name.
func (w *Witness) Name() string { return w.name }

// KeyHash identifies the key.
func (w *Witness) KeyHash() uint32 { return w.hash }

// Verify checks a cosignature: eight bytes of time, then the signature over the
// time and the whole checkpoint.
func (w *Witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(w.key, cosigned(binary.BigEndian.Uint64(sig), msg), sig[8:])
}

// cosigned is what a witness signs at t, in seconds since 1970.
func cosigned(t uint64, checkpoint []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", t), checkpoint...)
}

// SameKey reports whether two witnesses are one under two names.
func (w *Witness) SameKey(other *Witness) bool { return w.key.Equal(other.key) }

// CosignedAt returns the time of the witness's cosignature among the verified
// signatures of the note.
func (w *Witness) CosignedAt(n *note.Note) (time.Time, bool) {
	for _, sig := range n.Sigs {
		if sig.Name != w.name || sig.Hash != w.hash {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil || len(raw) < 12 {
			return time.Time{}, false
		}
		seconds := binary.BigEndian.Uint64(raw[4:])
		if seconds > 1<<40 { // beyond any calendar
			return time.Time{}, false
		}
		return time.Unix(int64(seconds), 0).UTC(), true
	}
	return time.Time{}, false
}
