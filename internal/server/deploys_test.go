package server

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
)

// TestPublishBuildKey starts twice with one key and once with another.
func TestPublishBuildKey(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	p := &parts{kernel: w.Kernel}
	before := w.Size()
	for i, entries := range []int64{1, 1, 2} {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i / 2)
		key := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		if err := p.publishBuildKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(commandtest.Get[*document.Installation](w, w.IDs["installation"]).BuildKey))
		if block == nil {
			t.Fatal("what is published is no PEM")
		}
		got, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !key.Equal(got) {
			t.Errorf("published %v, %v", got, err)
		}
		if n := w.Size() - before; n != entries {
			t.Errorf("%d entries, want %d", n, entries)
		}
	}
}
