package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// Verified says what VerifyLedger found whole.
type Verified struct {
	Entries  int64     `json:"entries"`
	Newest   time.Time `json:"newest"`   // the newest entry's time
	Anchored int64     `json:"anchored"` // entries under the checkpoint that the server keeps outside the database
	Given    *int64    `json:"given"`    // entries under the checkpoint that was given, if one was
}

// VerifyLedger recomputes the ledger of an installation and compares it with
// what was signed: the anchored checkpoint, and the one given, unless it is
// empty. A ledger that was replaced by another, whole one is noticed only by
// that. It only reads, and may run beside the server.
func VerifyLedger(ctx context.Context, data string, given []byte, progress func(done, total int64)) (*Verified, error) {
	cfg := Config{Data: data}
	st, err := sqlite.OpenReadOnly(ctx, cfg.ledgerPath(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	// Before the entries are read: what is signed later may cover more of them.
	anchored, err := ledger.NewFileAnchor(cfg.anchorPath()).Load()
	if err != nil {
		return nil, err
	}
	if anchored == nil {
		return nil, fault.New(fault.Invalid, "The anchor %s holds no checkpoint, so it cannot be told whether the ledger lost entries: bring the file back.", cfg.anchorPath())
	}
	if err := st.Verify(ctx, progress); err != nil {
		return nil, err
	}
	head, err := st.Head(ctx)
	if err != nil {
		return nil, err
	}
	v := &Verified{Entries: head.Size, Newest: head.Time}
	if v.Anchored, err = signedBefore(ctx, st, anchored, "the checkpoint in "+filepath.Clean(cfg.anchorPath())); err != nil {
		return nil, err
	}
	if len(given) == 0 {
		return v, nil
	}
	size, err := signedBefore(ctx, st, given, "the given checkpoint")
	v.Given = &size
	return v, err
}

// signedBefore checks that a ledger continues what a checkpoint was signed
// over, and returns how many entries that are.
func signedBefore(ctx context.Context, st *sqlite.Store, signed []byte, what string) (int64, error) {
	var in *document.Installation
	if err := st.Read(ctx, func(v store.View) (err error) {
		in, err = store.One[*document.Installation](v, "all", "")
		return err
	}); err != nil {
		return 0, err
	}
	key, err := note.NewVerifier(in.LogKey)
	if err != nil {
		return 0, fmt.Errorf("the log's verifier key: %w", err)
	}
	c, _, err := ledger.OpenCheckpoint(signed, key)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "%s was not signed by this ledger's key (%s): one of them belongs to another ledger, or was altered", what, ledger.Fingerprint(in.LogKey))
	}
	if want := ledger.Origin(in.ID, int64(in.LogNumber)); c.Origin != want {
		return 0, fault.New(fault.Invalid, "%s is of %s, the ledger is %s", what, c.Origin, want)
	}
	head, err := st.Head(ctx)
	if err != nil {
		return 0, err
	}
	if c.Size > head.Size {
		return 0, fault.New(fault.Invalid, "entry %d and those after it are gone: %s was signed over %d entries, the ledger has %d", head.Size, what, c.Size, head.Size)
	}
	root, err := ledger.Root(c.Size, st.Hashes(ctx))
	if err != nil {
		return 0, err
	}
	if root != c.Root {
		return 0, fault.New(fault.Invalid, "the entries before entry %d are not those that %s was signed over: the ledger was rewritten", c.Size, what)
	}
	return c.Size, nil
}
