package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

// TicketLife is how long a secret waits for its client where nothing else is said.
const TicketLife = 60 * time.Second

// Tickets keeps what was promised to whoever shows a secret, for a short time and
// for one use. It is in memory: a restart forgets it. The secrets themselves are
// not kept, only their digests, so finding one takes the same time for any guess.
type Tickets[T any] struct {
	life    time.Duration
	expired func(T)

	mu   sync.Mutex
	held map[[sha256.Size]byte]*held[T]
}

type held[T any] struct {
	value T
	timer *time.Timer
}

// NewTickets returns an empty Tickets. A life of 0 means TicketLife. expired, if
// not nil, is called with what nobody came for, in a goroutine of its own.
func NewTickets[T any](life time.Duration, expired func(T)) *Tickets[T] {
	if life == 0 {
		life = TicketLife
	}
	return &Tickets[T]{life: life, expired: expired, held: map[[sha256.Size]byte]*held[T]{}}
}

// Issue keeps value and returns the secret for it: 256 random bits, in characters
// that need no escaping in a URL.
func (t *Tickets[T]) Issue(value T) (secret string) {
	b := make([]byte, 32)
	rand.Read(b) // never fails: it ends the program instead
	secret = base64.RawURLEncoding.EncodeToString(b)
	t.Add(secret, value)
	return secret
}

// Add keeps value under a name that is not a secret of ours, such as the
// fingerprint of a key. It replaces what was kept under that name.
func (t *Tickets[T]) Add(name string, value T) {
	id := sha256.Sum256([]byte(name))
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.held[id]; ok {
		old.timer.Stop()
	}
	h := &held[T]{value: value}
	h.timer = time.AfterFunc(t.life, func() { t.expire(id, h) })
	t.held[id] = h
}

// expire drops h, unless it was taken or replaced while its timer fired.
func (t *Tickets[T]) expire(id [sha256.Size]byte, h *held[T]) {
	t.mu.Lock()
	late := t.held[id] != h
	if !late {
		delete(t.held, id)
	}
	t.mu.Unlock()
	if !late && t.expired != nil {
		t.expired(h.value)
	}
}

// Peek returns what is kept under a name and leaves it there.
func (t *Tickets[T]) Peek(name string) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.held[sha256.Sum256([]byte(name))]
	if !ok {
		var none T
		return none, false
	}
	return h.value, true
}

// Take returns what is kept under a secret or name, to one caller only.
func (t *Tickets[T]) Take(name string) (T, bool) {
	id := sha256.Sum256([]byte(name))
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.held[id]
	if !ok {
		var none T
		return none, false
	}
	h.timer.Stop()
	delete(t.held, id)
	return h.value, true
}
