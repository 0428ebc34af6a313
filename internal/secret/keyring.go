package secret

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/fault"
)

// Installation is the scope of what belongs to no space and no team.
const Installation = ""

// Sealed is a sealed value as it is stored beside the ledger.
type Sealed struct {
	ID         string // UUID
	Scope      string
	Key        string // id of the data key
	Ciphertext []byte
}

// Digest of the ciphertext, as documents name it.
func (s Sealed) Digest() string {
	sum := sha256.Sum256(s.Ciphertext)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// WrappedKey is a scope's data key as it is stored beside the ledger.
type WrappedKey struct {
	ID      string // UUID
	Scope   string
	Wrapped []byte // nil once it is destroyed
}

// Shelf is where sealed values and wrapped keys lie; the store is one.
type Shelf interface {
	// WrappedKey gives the scope's data key, or fault.NotFound.
	WrappedKey(ctx context.Context, scope string) (WrappedKey, error)
	// Sealed gives a sealed value, or fault.NotFound.
	Sealed(ctx context.Context, id string) (Sealed, error)
}

// Keyring seals and opens values. It keeps unwrapped data keys in memory until
// Forget. Safe for concurrent use.
type Keyring struct {
	wrapper KeyWrapper
	shelf   Shelf

	mu   sync.Mutex
	keys map[string]dataKey // by scope
}

type dataKey struct {
	id  string
	key []byte
}

// NewKeyring returns a keyring over the shelf.
func NewKeyring(wrapper KeyWrapper, shelf Shelf) *Keyring {
	return &Keyring{wrapper: wrapper, shelf: shelf, keys: map[string]dataKey{}}
}

// NewKey makes the data key of a new scope. It counts only once the entry that
// creates the scope is stored together with it.
func (k *Keyring) NewKey(ctx context.Context, scope string) (WrappedKey, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	id := uuid.NewString()
	wrapped, err := k.wrapper.Wrap(ctx, key, wrapContext(scope, id))
	if err != nil {
		return WrappedKey{}, err
	}
	return WrappedKey{ID: id, Scope: scope, Wrapped: wrapped}, nil
}

// Seal seals plaintext under the scope's data key.
func (k *Keyring) Seal(ctx context.Context, scope string, plaintext Value) (Sealed, error) {
	key, err := k.dataKey(ctx, scope)
	if err != nil {
		return Sealed{}, err
	}
	return sealWith(key, scope, plaintext)
}

// SealWith seals under a key that is not stored yet: for the secrets of a scope
// in the same entry that creates it.
func (k *Keyring) SealWith(ctx context.Context, fresh WrappedKey, plaintext Value) (Sealed, error) {
	raw, err := k.wrapper.Unwrap(ctx, fresh.Wrapped, wrapContext(fresh.Scope, fresh.ID))
	if err != nil {
		return Sealed{}, err
	}
	return sealWith(dataKey{fresh.ID, raw}, fresh.Scope, plaintext)
}

func sealWith(key dataKey, scope string, plaintext Value) (Sealed, error) {
	s := Sealed{ID: uuid.NewString(), Scope: scope, Key: key.id}
	ct, err := seal(key.key, plaintext.Reveal(), valueContext(s))
	if err != nil {
		return Sealed{}, fmt.Errorf("seal value: %w", err)
	}
	s.Ciphertext = ct
	return s, nil
}

// Open reads a sealed value and checks it against the digest that a document
// names. fault.NotFound: the value or its key was destroyed.
func (k *Keyring) Open(ctx context.Context, id, digest string) (Value, error) {
	s, err := k.shelf.Sealed(ctx, id)
	if err != nil {
		return Value{}, err
	}
	if s.Digest() != digest {
		return Value{}, fmt.Errorf("sealed value %s is not the one that the ledger names", id)
	}
	key, err := k.dataKey(ctx, s.Scope)
	if err != nil {
		return Value{}, err
	}
	plain, err := open(key.key, s.Ciphertext, valueContext(s))
	if err != nil {
		return Value{}, fmt.Errorf("open sealed value %s: %w", id, err)
	}
	return NewValue(plain), nil
}

// DataKey gives the scope's data key for bulk encryption (blobs, recordings):
// a key derived from it, so that no key has two uses. nil scope: installation.
func (k *Keyring) DataKey(ctx context.Context, scope *string) ([]byte, error) {
	s := Installation
	if scope != nil {
		s = *scope
	}
	key, err := k.dataKey(ctx, s)
	if err != nil {
		return nil, err
	}
	return Derive(key.key, "bulk", KeySize)
}

// Forget drops the scope's key from memory, after its destruction was stored.
func (k *Keyring) Forget(scope string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.keys[scope].key)
	delete(k.keys, scope)
}

func (k *Keyring) dataKey(ctx context.Context, scope string) (dataKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.keys[scope]; ok {
		// A copy, because Forget clears the original.
		return dataKey{key.id, append([]byte(nil), key.key...)}, nil
	}
	w, err := k.shelf.WrappedKey(ctx, scope)
	if err != nil {
		return dataKey{}, err
	}
	if w.Wrapped == nil {
		return dataKey{}, fault.New(fault.NotFound, "the key of this scope was destroyed; what was sealed with it is gone")
	}
	raw, err := k.wrapper.Unwrap(ctx, w.Wrapped, wrapContext(scope, w.ID))
	if err != nil {
		return dataKey{}, err
	}
	k.keys[scope] = dataKey{w.ID, raw}
	return dataKey{w.ID, append([]byte(nil), raw...)}, nil
}

func wrapContext(scope, id string) string { return scope + "\n" + id }

func valueContext(s Sealed) string {
	return "strongroom/sealed/1\n" + s.Scope + "\n" + s.Key + "\n" + s.ID
}
