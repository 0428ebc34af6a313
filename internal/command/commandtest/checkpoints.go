package commandtest

import (
	"crypto/rand"
	"log/slog"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Checkpoints signs the world's log with a key that is made for the test, and
// keeps what it signed in a file. Nothing is signed before Sign or Run.
func (w *World) Checkpoints(anchor string) (*control.Checkpoints, note.Verifier) {
	w.T.Helper()
	origin := ledger.Origin(uuid.NewString(), 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		w.T.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		w.T.Fatal(err)
	}
	w.LogKey = vkey
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		w.T.Fatal(err)
	}
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(anchor), Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return &control.Checkpoints{Store: w.Store, Signer: s, Log: slog.New(slog.DiscardHandler)}, verifier
}
