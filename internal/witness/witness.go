package witness

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Witness cosigns. Safe for concurrent use.
type Witness struct {
	dir    Directory
	signer *torchwood.CosignatureSigner
	log    *slog.Logger
	lock   *os.File // nobody else has the directory while it is open

	mu   sync.Mutex
	logs map[string]*known // by origin
}

// known is a log of which something was asked. Requests of one log follow one
// another, so that none can be overtaken between its check and its record.
type known struct {
	mu      sync.Mutex
	history *history
}

// Conflict is the refusal of a request whose old checkpoint is not the one that
// was cosigned last, or of another tree of the same size.
type Conflict struct {
	Size int64 // of the checkpoint that was cosigned last
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("the newest checkpoint that was cosigned is over %d entries", c.Size)
}

// errProof says that the new checkpoint does not extend the old one.
var errProof = errors.New("the proof does not show that the checkpoint extends the one that was cosigned")

// Open opens a witness's directory, which no other process may have open.
func Open(d Directory, log *slog.Logger) (*Witness, error) {
	s, err := d.signer()
	if err != nil {
		return nil, err
	}
	if _, err := d.Logs(); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(d.lockPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the witness's directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Conflict, err, "Another witness runs in %s.", string(d)), lock.Close())
	}
	return &Witness{dir: d, signer: s, log: log, lock: lock, logs: map[string]*known{}}, nil
}

func (d Directory) signer() (*torchwood.CosignatureSigner, error) {
	b, err := os.ReadFile(d.keyPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "There is no witness in %s: make one with 'strongroom witness:init'.", string(d))
	}
	if err != nil {
		return nil, fmt.Errorf("read the witness's key: %w", err)
	}
	return openKey(string(b))
}

// Close gives the directory back.
func (w *Witness) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var failed error
	for _, k := range w.logs {
		k.mu.Lock()
		if k.history != nil {
			k.history.broken = errors.New("the witness was closed")
			failed = errors.Join(failed, k.history.file.Close())
		}
		k.mu.Unlock()
	}
	return errors.Join(failed, w.lock.Close())
}

// Cosign gives the witness's signature line over a checkpoint that extends the
// one that it cosigned last. Refusals are *Conflict, errProof, or faults:
// Invalid, NotFound for an unknown log, Forbidden for another key than the log's.
func (w *Witness) Cosign(r *Request) ([]byte, error) {
	origin, _, _ := bytes.Cut(r.Note, []byte("\n"))
	keys, err := w.keysOf(string(origin))
	if err != nil {
		return nil, err
	}
	n, err := note.Open(r.Note, note.VerifierList(keys...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return nil, fault.Wrap(fault.Forbidden, err, "the checkpoint is not signed by the log's key")
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "the checkpoint is not a signed note")
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil || c.String() != n.Text {
		return nil, fault.New(fault.Invalid, "the note is not a checkpoint")
	}
	k := w.known(c.Origin)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.open(w, c.Origin); err != nil {
		return nil, err
	}
	if err := k.history.extends(r, c); err != nil {
		return nil, err
	}
	return k.cosign(w.signer, n, c)
}

// keysOf reads the list anew each time: it is small, and a log that was taken
// off it is unknown from then on.
func (w *Witness) keysOf(origin string) ([]note.Verifier, error) {
	logs, err := w.dir.Logs()
	if err != nil {
		return nil, fmt.Errorf("the logs that the witness knows: %v", err) // not the asker's fault
	}
	i := slices.IndexFunc(logs, func(l Log) bool { return l.Origin == origin })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "this witness does not know that log")
	}
	return logs[i].verifiers()
}

func (w *Witness) known(origin string) *known {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.logs[origin]
	if k == nil {
		k = &known{}
		w.logs[origin] = k
	}
	return k
}

func (k *known) open(w *Witness, origin string) (err error) {
	if k.history == nil {
		k.history, err = openHistory(w.dir.historyPath(origin), w.signer.Verifier())
	}
	return err
}

// extends compares a checkpoint with the one that was cosigned last.
func (h *history) extends(r *Request, c torchwood.Checkpoint) error {
	empty, err := ledger.Root(0, nil)
	if err != nil {
		return err
	}
	size, root := int64(0), empty
	if h.last != nil {
		size, root = h.last.N, h.last.Hash
	}
	switch {
	case r.Old > c.N:
		return fault.New(fault.Invalid, "the old size %d is greater than the checkpoint's, %d", r.Old, c.N)
	case c.N == 0 && c.Hash != empty:
		return errProof
	case r.Old != size, c.N == size && c.Hash != root:
		return &Conflict{size}
	}
	if err := ledger.VerifyConsistency(r.Proof, c.N, c.Hash, size, root); err != nil {
		return fmt.Errorf("%w: %v", errProof, err)
	}
	return nil
}

// cosign records the checkpoint with its cosignature, and gives the latter.
// Signatures that no key of the log made are dropped.
func (k *known) cosign(s *torchwood.CosignatureSigner, n *note.Note, c torchwood.Checkpoint) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs}, s)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	cosigned, err := parseCosigned(signed, s.Verifier())
	if err != nil {
		return nil, err
	}
	if err := k.history.add(cosigned); err != nil {
		return nil, err
	}
	// The new signature is the last line.
	return signed[bytes.LastIndexByte(signed[:len(signed)-1], '\n')+1:], nil
}
