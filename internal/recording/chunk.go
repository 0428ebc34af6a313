package recording

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A working file is a header, chunks, and zeros up to its reserved length.
//
//	header = magic ‖ length (4) ‖ JSON preamble ‖ wrap(file key), additional data: all before it
//	chunk  = length of the sealing (4) ‖ digest of the chunk before (32) ‖ seal(whole asciicast lines),
//	         additional data: index (8) ‖ digest of the chunk before
//
// The digest of a chunk is SHA-256 of all its bytes; the first chunk names the
// digest of the header. A length of zero is the end.
const (
	magic       = "strmrec\x00\x00\x00\x00\x01"
	keySize     = 32
	overhead    = 12 + 16 // nonce and tag of one sealing
	prefixSize  = 4 + sha256.Size
	maxPreamble = 1 << 10
	maxEvent    = 64 << 10 // bytes of input or output in one event
	maxPlain    = 1 << 20  // of one chunk; an event's encoding takes less
	maxChunk    = prefixSize + maxPlain + overhead
	reserve     = 4 << 10 // kept free for the last chunk, which says how the session ended
)

// errTorn marks the place from which a file cannot be read.
var errTorn = errors.New("the chunk is not whole")

// preamble is what must be known to find the key. It is in the clear.
type preamble struct {
	ID    string  `json:"id"`
	Scope *string `json:"scope"`
}

// wrapKey wraps the keys of a scope's recordings.
type wrapKey struct{ cipher.AEAD }

func (r *Recorder) wrapKey(ctx context.Context, scope *string) (wrapKey, error) {
	data, err := r.keys.DataKey(ctx, scope)
	if err != nil {
		return wrapKey{}, err
	}
	key, err := hkdf.Key(sha256.New, data, nil, "strongroom recording wrap v1", keySize)
	if err != nil {
		return wrapKey{}, fmt.Errorf("derive recording key: %w", err)
	}
	aead, err := newAEAD(key)
	return wrapKey{aead}, err
}

// newAEAD returns AES-256-GCM that draws its own nonces, the form of GCM that
// FIPS 140-3 enforcement lets pass.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aes: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func newHeader(wrap wrapKey, meta Meta) (cipher.AEAD, []byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: it ends the program instead
	aead, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(preamble{ID: meta.ID, Scope: meta.Scope})
	if err != nil || len(text) > maxPreamble {
		return nil, nil, fmt.Errorf("preamble of %d bytes: %v", len(text), err)
	}
	header := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(text)))
	header = append(header, text...)
	return aead, append(header, wrap.Seal(nil, nil, key, header)...), nil
}

// readPreamble returns the preamble and the bytes of the header up to the key.
func readPreamble(r io.Reader) (preamble, []byte, error) {
	head := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(magic)]) != magic {
		return preamble{}, nil, errors.New("not a recording")
	}
	n := binary.BigEndian.Uint32(head[len(magic):])
	if n > maxPreamble {
		return preamble{}, nil, errors.New("not a recording")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return preamble{}, nil, fmt.Errorf("recording ends in its header: %w", err)
	}
	var p preamble
	if err := json.Unmarshal(text, &p); err != nil {
		return preamble{}, nil, fmt.Errorf("recording's header: %w", err)
	}
	return p, append(head, text...), nil
}

// openHeader unwraps the file key and returns the whole header.
func openHeader(r io.Reader, wrap wrapKey, start []byte) (cipher.AEAD, []byte, error) {
	sealed := make([]byte, keySize+overhead)
	if _, err := io.ReadFull(r, sealed); err != nil {
		return nil, nil, fmt.Errorf("recording ends in its header: %w", err)
	}
	key, err := wrap.Open(nil, nil, sealed, start)
	if err != nil {
		return nil, nil, errors.New("the recording's header was altered, or it belongs to another key")
	}
	aead, err := newAEAD(key)
	return aead, append(start, sealed...), err
}

// chain is the place in the sequence of chunks.
type chain struct {
	index uint64
	prev  [sha256.Size]byte
	torn  int // after errTorn: how far beyond what was read one torn write may reach
}

func newChain(header []byte) chain { return chain{prev: sha256.Sum256(header)} }

func (c *chain) data() []byte {
	return append(binary.BigEndian.AppendUint64(nil, c.index), c.prev[:]...)
}

// seal returns the next chunk; advance makes it the last one.
func (c *chain) seal(aead cipher.AEAD, plain []byte) []byte {
	chunk := make([]byte, 0, prefixSize+len(plain)+overhead)
	chunk = binary.BigEndian.AppendUint32(chunk, uint32(len(plain)+overhead))
	chunk = append(chunk, c.prev[:]...)
	return aead.Seal(chunk, nil, plain, c.data())
}

func (c *chain) advance(chunk []byte) {
	c.index++
	c.prev = sha256.Sum256(chunk)
}

func (c *chain) head() string { return "sha256:" + hex.EncodeToString(c.prev[:]) }

// next reads a chunk and advances. It returns io.EOF at the end and errTorn
// where there is something else than the next chunk.
func (c *chain) next(r io.Reader, aead cipher.AEAD) ([]byte, error) {
	prefix := make([]byte, prefixSize)
	if n, err := io.ReadFull(r, prefix); n == 0 && err == io.EOF {
		return nil, io.EOF
	} else if err == io.ErrUnexpectedEOF {
		return nil, errTorn
	} else if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix)
	switch {
	case size == 0 && isZero(prefix):
		return nil, io.EOF
	case size < overhead || size > maxPlain+overhead || [sha256.Size]byte(prefix[4:]) != c.prev:
		c.torn = maxChunk - prefixSize // its length is not known
		return nil, errTorn
	}
	sealed := make([]byte, size)
	if _, err := io.ReadFull(r, sealed); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, errTorn
	} else if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, c.data())
	if err != nil {
		return nil, errTorn
	}
	c.advance(append(prefix, sealed...))
	return plain, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
