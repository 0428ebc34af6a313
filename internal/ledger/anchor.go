package ledger

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Anchor keeps the newest released checkpoint outside the database and its
// backups, so that a database that lost entries is noticed.
//
// Durability: when CompareAndSwap returns nil, new survives a crash of the
// machine. Atomicity: Load returns one value that was once stored, never a
// mixture, and of several swaps from the same old value at most one succeeds,
// also across processes. After an error other than ErrAnchorMoved the caller
// does not know which value is stored and must Load again.
type Anchor interface {
	// Load returns the stored note, or nil if there has never been one.
	Load() (signed []byte, err error)
	// CompareAndSwap stores new if old is what is stored (nil: nothing is).
	// If something else is stored it returns an error that is ErrAnchorMoved.
	CompareAndSwap(old, new []byte) error
}

// ErrAnchorMoved says that the anchor holds another checkpoint than expected.
var ErrAnchorMoved = fault.New(fault.Conflict, "another checkpoint is anchored than expected")

// SignerConfig is what a Signer needs.
type SignerConfig struct {
	Origin  string
	Anchor  Anchor
	Signers []note.Signer // both keys while one is being rotated
	// Keys may have signed the anchored checkpoint: the signers' own, and the
	// key before a rotation.
	Keys []note.Verifier
	// Previous is the last checkpoint of the log before this one, as this log's
	// entry 0 holds it. It is needed when a new log begins after entries were
	// lost, and has to be the anchored one.
	Previous []byte
}

// Signer signs checkpoints of one log. It refuses what does not extend the
// newest anchored one. Not for concurrent use.
type Signer struct {
	cfg    SignerConfig
	newest Checkpoint // decoded form of stored
	stored []byte     // nil: nothing is anchored yet
	stale  bool       // stored may not be what the anchor holds
}

// NewSigner loads and checks the anchored checkpoint.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	if _, _, err := ParseOrigin(cfg.Origin); err != nil {
		return nil, err
	}
	s := &Signer{cfg: cfg}
	if err := s.reload(); err != nil {
		return nil, err
	}
	if s.stored != nil && s.newest.Origin != cfg.Origin {
		if err := s.succeeds(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Signer) reload() error {
	stored, err := s.cfg.Anchor.Load()
	if err != nil {
		return fmt.Errorf("load anchored checkpoint: %w", err)
	}
	s.stored, s.newest, s.stale = stored, Checkpoint{}, false
	if stored == nil {
		return nil
	}
	s.newest, _, err = OpenCheckpoint(stored, s.cfg.Keys...)
	if err != nil {
		return fmt.Errorf("anchored checkpoint: %w", err)
	}
	return nil
}

// succeeds checks that this log is the one after the anchored log.
func (s *Signer) succeeds() error {
	oldID, oldNumber, err := ParseOrigin(s.newest.Origin)
	if err != nil {
		return err
	}
	id, number, err := ParseOrigin(s.cfg.Origin)
	if err != nil {
		return err
	}
	if id != oldID || number != oldNumber+1 || !bytes.Equal(s.cfg.Previous, s.stored) {
		return fault.New(fault.Conflict,
			"the anchored checkpoint is of log %s: log %s can begin only as the next one, with that checkpoint in its first entry", s.newest.Origin, s.cfg.Origin)
	}
	return nil
}

// Newest returns the anchored checkpoint and its signed form, nil if there is none.
func (s *Signer) Newest() (Checkpoint, []byte) { return s.newest, s.stored }

// Sign signs the tree of size n, whose hashes r serves, anchors the note and
// returns it. It refuses with fault.Conflict what does not extend the anchored
// checkpoint, above all a tree that lost entries.
func (s *Signer) Sign(n int64, r tlog.HashReader) (Checkpoint, []byte, error) {
	if s.stale {
		if err := s.reload(); err != nil {
			return Checkpoint{}, nil, err
		}
	}
	root, err := Root(n, r)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	next := Checkpoint{Origin: s.cfg.Origin, Size: n, Root: root}
	if err := s.extends(next, r); err != nil {
		return Checkpoint{}, nil, err
	}
	signed, err := SignCheckpoint(next, s.cfg.Signers...)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	// Signatures are deterministic: the same tree gives the same note.
	if !bytes.Equal(signed, s.stored) {
		if err := s.cfg.Anchor.CompareAndSwap(s.stored, signed); err != nil {
			s.stale = true
			return Checkpoint{}, nil, fmt.Errorf("anchor checkpoint %d: %w", n, err)
		}
	}
	s.newest, s.stored = next, signed
	return next, signed, nil
}

// extends checks next against the anchored checkpoint, by a consistency proof
// from the hashes that the root was computed from.
func (s *Signer) extends(next Checkpoint, r tlog.HashReader) error {
	old := s.newest
	if s.stored == nil {
		return nil
	}
	if old.Origin != next.Origin {
		return s.succeeds()
	}
	if next.Size < old.Size {
		return fault.New(fault.Conflict,
			"the log has %d entries but a checkpoint over %d was released: entries were lost, a new log must begin", next.Size, old.Size)
	}
	proof, err := ProveConsistency(next.Size, old.Size, r)
	if err != nil {
		return fmt.Errorf("prove that checkpoint %d extends %d: %w", next.Size, old.Size, err)
	}
	if err := VerifyConsistency(proof, next.Size, next.Root, old.Size, old.Root); err != nil {
		return fault.Wrap(fault.Conflict, err, "the log does not extend the checkpoint over %d entries that was released", old.Size)
	}
	return nil
}
