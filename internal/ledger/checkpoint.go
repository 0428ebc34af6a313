package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Checkpoint is what the log's key signs: the tree of one log at one size.
type Checkpoint struct {
	Origin string // see Origin
	Size   int64
	Root   tlog.Hash
}

// Origin names a log: the installation and the number of its log. The number
// grows when entries were lost and a new log had to begin.
func Origin(installation string, logNumber int64) string {
	return fmt.Sprintf("strongroom/%s/%d", installation, logNumber)
}

// ParseOrigin is the reverse of Origin.
func ParseOrigin(s string) (installation string, logNumber int64, err error) {
	rest, ok := strings.CutPrefix(s, "strongroom/")
	installation, number, ok2 := strings.Cut(rest, "/")
	logNumber, ok3 := parseSeq([]byte(number))
	if !ok || !ok2 || !ok3 || !IsUUID(installation) {
		return "", 0, fault.New(fault.Invalid, "not the origin of a strongroom log: %.80q", s)
	}
	return installation, logNumber, nil
}

// Marshal returns the three lines that are signed.
func (c *Checkpoint) Marshal() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ParseCheckpoint reads what Marshal writes and nothing else.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fault.New(fault.Invalid, "a checkpoint has exactly three lines")
	}
	var c Checkpoint
	c.Origin = strings.TrimSuffix(lines[0], "\n")
	if _, _, err := ParseOrigin(c.Origin); err != nil {
		return Checkpoint{}, err
	}
	var ok bool
	if c.Size, ok = parseSeq([]byte(strings.TrimSuffix(lines[1], "\n"))); !ok {
		return Checkpoint{}, fault.New(fault.Invalid, "the checkpoint's tree size is malformed")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(lines[2], "\n"))
	if err != nil || copy(c.Root[:], root) != len(root) || len(root) != tlog.HashSize || c.Marshal() != text {
		return Checkpoint{}, fault.New(fault.Invalid, "the checkpoint's root hash is malformed")
	}
	return c, nil
}

// SignCheckpoint returns the checkpoint as a note signed by every signer
// (two while a key is being rotated).
func SignCheckpoint(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("sign checkpoint: no signer")
	}
	signed, err := note.Sign(&note.Note{Text: c.Marshal()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint reads a signed checkpoint. At least one of the keys must have
// signed it, and a failing signature of any of them rejects it.
func OpenCheckpoint(signed []byte, keys ...note.Verifier) (Checkpoint, *note.Note, error) {
	n, err := OpenNote(signed, keys...)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, n, nil
}

// OpenNote is note.Open with strict base64: a signature has one spelling, so
// that no byte of a signed file can change unnoticed.
func OpenNote(signed []byte, keys ...note.Verifier) (*note.Note, error) {
	n, err := note.Open(signed, note.VerifierList(keys...))
	var bad *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &bad):
		return nil, fault.Wrap(fault.Invalid, err, "the signature of a known key does not match")
	case errors.As(err, &unverified):
		return nil, fault.Wrap(fault.Invalid, err, "not signed by the given key")
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "malformed signed note")
	}
	_, sigs, _ := strings.Cut(string(signed[len(n.Text):]), "\n")
	if len(n.Sigs)+len(n.UnverifiedSigs) != strings.Count(sigs, "\n") {
		return nil, fault.New(fault.Invalid, "malformed signed note: a signature occurs twice")
	}
	for _, list := range [][]note.Signature{n.Sigs, n.UnverifiedSigs} {
		for _, sig := range list {
			if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
				return nil, fault.Wrap(fault.Invalid, err, "malformed signed note")
			}
		}
	}
	return n, nil
}

// GenerateKey makes a log's signing key. Its name is the log's origin. The
// first string is secret.
func GenerateKey(rand io.Reader, origin string) (skey, vkey string, err error) {
	return note.GenerateKey(rand, origin)
}

// Fingerprint is the short form of a verifier key that people compare by eye:
// the SHA-256 of the key as it is written.
func Fingerprint(vkey string) string {
	sum := sha256.Sum256([]byte(vkey))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// FormatDigest writes a SHA-256 as documents do.
func FormatDigest(sum [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(sum[:]) }

// ParseDigest reads what FormatDigest writes and nothing else.
func ParseDigest(s string) (sum [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(sum) || strings.ToLower(digits) != digits {
		return sum, fault.New(fault.Invalid, "not a sha256 digest: %.80s", strconv.Quote(s))
	}
	copy(sum[:], raw)
	return sum, nil
}
