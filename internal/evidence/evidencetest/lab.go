// Package evidencetest is a world with an exporter over it, for tests that need
// packs as the platform writes them. tests/verifier and tests/browser call it.
package evidencetest

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Lab is a world with an exporter over it, and the key that signs its log.
type Lab struct {
	*commandtest.World
	Config   evidence.Config // of the exporter
	Exporter *evidence.Exporter
	Signing  *control.Checkpoints
	Signer   note.Signer
	VKey     string
}

// New makes the world that commandtest makes, at noon.
func New(t *testing.T) *Lab {
	t.Helper()
	l := &Lab{World: commandtest.New(t, commandtest.Noon)}
	in := *commandtest.Get[*document.Installation](l.World, l.IDs["installation"])
	origin := ledger.Origin(in.ID, 1)
	l.Signer, l.VKey = NewSigner(t, origin)
	in.LogKey = l.VKey
	key, err := note.NewVerifier(l.VKey)
	must(t, err)
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(t.TempDir(), "anchor")), Signers: []note.Signer{l.Signer}, Keys: []note.Verifier{key},
	})
	must(t, err)
	l.Signing = &control.Checkpoints{Store: l.Store, Signer: s, Log: slog.New(slog.DiscardHandler)}
	controls, err := builtin.Programme(builtin.Reach{})
	must(t, err)
	l.Config = evidence.Config{
		Programme: controls,
		Store:     l.Store, Kernel: l.Kernel, Checkpoints: l.Signing, Blobs: l.Blobs, Signer: l.Signer, Installation: &in, Program: "strongroom test", Now: l.Now,
	}
	l.Exporter = evidence.New(l.Config)
	return l
}

// NewSigner makes a log's key.
func NewSigner(t *testing.T, origin string) (signer note.Signer, vkey string) {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	must(t, err)
	signer, err = note.NewSigner(skey)
	must(t, err)
	return signer, vkey
}

// After is a time after noon.
func After(d time.Duration) time.Time { return commandtest.Noon.Add(d) }

// Export makes a pack of the space as the auditor.
func (l *Lab) Export(q evidence.Request) []byte {
	l.T.Helper()
	q.Space = "ward"
	var b bytes.Buffer
	must(l.T, l.Exporter.Export(l.T.Context(), l.As("auditor"), q, func(string) io.Writer { return &b }))
	return b.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
