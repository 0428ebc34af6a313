package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// SaltSize is the number of random bytes that hide a body's content from
// those who know only its hash.
const SaltSize = 16

// MaxHeader bounds the encoded length of a header, without a newline.
const MaxHeader = 256

const (
	uuidSize      = 36
	maxScopeNames = 4096
)

// Entry is one entry of the log, whole: what the store keeps.
type Entry struct {
	Seq   int64
	Time  time.Time // UTC
	Scope *string   // UUID of a space or a team; nil: the installation and no team
	Salt  [SaltSize]byte
	Body  []byte // canonical JSON, see Body.Canonical
}

// Header returns the bytes of the entry's public header, the leaf of the tree.
func (e *Entry) Header() []byte {
	h := Header{Seq: e.Seq, Time: e.Time, Scope: e.Scope, Body: BodyHash(e.Salt, e.Body)}
	return h.Append(make([]byte, 0, MaxHeader))
}

// Header is what everybody may see of an entry.
type Header struct {
	Seq   int64
	Time  time.Time
	Scope *string
	Body  [sha256.Size]byte // BodyHash of the entry's body
}

// Append appends the header's only encoding to dst.
func (h *Header) Append(dst []byte) []byte {
	dst = append(dst, `{"body":"`...)
	dst = hex.AppendEncode(dst, h.Body[:])
	dst = append(dst, `","scope":`...)
	if h.Scope == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = append(dst, *h.Scope...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendInt(dst, h.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, h.Time)
	return append(dst, `","v":1}`...)
}

// BodyHash is the commitment to a body that its header carries.
func BodyHash(salt [SaltSize]byte, body []byte) [sha256.Size]byte {
	return sha256.Sum256(AppendFrame(make([]byte, 0, FrameSize+len(body)), &salt, body))
}

// AppendFrame appends the bytes whose SHA-256 is BodyHash, for those who hash
// many bodies and want to use one buffer for all.
func AppendFrame(dst []byte, salt *[SaltSize]byte, body []byte) []byte {
	dst = append(dst, 2)
	return append(append(dst, salt[:]...), body...)
}

// FrameSize is the room before a body that its hash covers too.
const FrameSize = 1 + SaltSize

// hashFramed is BodyHash of the body that begins at FrameSize; it overwrites
// what is before.
func hashFramed(buf []byte, salt [SaltSize]byte) [sha256.Size]byte {
	buf[0] = 2
	copy(buf[1:], salt[:])
	return sha256.Sum256(buf)
}

// LeafHash is the tree's hash of a header: SHA-256(0x00 ‖ header).
func LeafHash(header []byte) tlog.Hash {
	var buf [1 + MaxHeader]byte
	return tlog.Hash(sha256.Sum256(append(buf[:1], header...)))
}

// ParseHeader reads a header and refuses every encoding but the one that
// Header.Append writes.
func ParseHeader(b []byte) (Header, error) { return parseHeader(b, nil) }

func parseHeader(b []byte, names scopeNames) (Header, error) {
	h, ok := splitHeader(b, names)
	if !ok {
		return Header{}, fault.New(fault.Invalid, "malformed header")
	}
	var buf [MaxHeader]byte
	if !bytes.Equal(h.Append(buf[:0]), b) {
		return Header{}, fault.New(fault.Invalid, "header of entry %d is not written in its only form", h.Seq)
	}
	return h, nil
}

// splitHeader reads the members at their places. It may accept what is not in
// the only form; ParseHeader compares afterwards.
func splitHeader(b []byte, names scopeNames) (h Header, ok bool) {
	if len(b) > MaxHeader {
		return h, false
	}
	rest, ok := bytes.CutPrefix(b, []byte(`{"body":"`))
	if !ok || len(rest) < 2*sha256.Size {
		return h, false
	}
	if _, err := hex.Decode(h.Body[:], rest[:2*sha256.Size]); err != nil {
		return h, false
	}
	if rest, ok = bytes.CutPrefix(rest[2*sha256.Size:], []byte(`","scope":`)); !ok {
		return h, false
	}
	if h.Scope, rest, ok = splitScope(rest, names); !ok {
		return h, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"seq":`)); !ok {
		return h, false
	}
	n := bytes.IndexByte(rest, ',')
	if n < 0 {
		return h, false
	}
	if h.Seq, ok = parseSeq(rest[:n]); !ok {
		return h, false
	}
	rest, ok = bytes.CutPrefix(rest[n:], []byte(`,"time":"`))
	if !ok || len(rest) < timeSize {
		return h, false
	}
	h.Time, ok = parseTime(rest[:timeSize])
	return h, ok
}

func splitScope(b []byte, names scopeNames) (scope *string, rest []byte, ok bool) {
	if rest, ok = bytes.CutPrefix(b, []byte("null")); ok {
		return nil, rest, true
	}
	if len(b) < uuidSize+2 || b[0] != '"' || b[uuidSize+1] != '"' {
		return nil, nil, false
	}
	scope = names.get(b[1 : uuidSize+1])
	return scope, b[uuidSize+2:], scope != nil
}

// scopeNames keeps one copy of every scope that headers name. Not for
// concurrent use; nil keeps nothing.
type scopeNames map[string]*string

// get returns nil if id is not a UUID.
func (n scopeNames) get(id []byte) *string {
	if s, ok := n[string(id)]; ok {
		return s
	}
	s := string(id)
	if !IsUUID(s) {
		return nil
	}
	if n != nil {
		if len(n) >= maxScopeNames { // the headers may come from anybody
			clear(n)
		}
		n[s] = &s
	}
	return &s
}

// parseSeq reads a decimal number up to 2^53-1 without sign or leading zeros.
func parseSeq(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 16 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n <= MaxInt
}

// IsUUID reports whether s is a UUID in its canonical lower-case form.
func IsUUID(s string) bool {
	if len(s) != uuidSize {
		return false
	}
	for i := range uuidSize {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
