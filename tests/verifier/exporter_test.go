package verifier

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/secret"
)

// lab is a world with an exporter over it, and the key that signs its log.
type lab struct {
	*commandtest.World
	exporter *evidence.Exporter
	signing  *control.Checkpoints
	signer   note.Signer
	vkey     string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon)}
	in := *commandtest.Get[*document.Installation](l.World, l.IDs["installation"])
	origin := ledger.Origin(in.ID, 1)
	l.signer, l.vkey = newSigner(t, origin)
	in.LogKey = l.vkey
	key, err := note.NewVerifier(l.vkey)
	must(t, err)
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(t.TempDir(), "anchor")), Signers: []note.Signer{l.signer}, Keys: []note.Verifier{key},
	})
	must(t, err)
	l.signing = &control.Checkpoints{Store: l.Store, Signer: s, Log: slog.New(slog.DiscardHandler)}
	controls, err := builtin.Programme(builtin.Reach{})
	must(t, err)
	l.exporter = evidence.New(evidence.Config{
		Programme: controls,
		Store:     l.Store, Kernel: l.Kernel, Checkpoints: l.signing, Blobs: l.Blobs, Signer: l.signer, Installation: &in, Program: "strongroom test", Now: l.Now,
	})
	return l
}

// newSigner makes a log's key.
func newSigner(t *testing.T, origin string) (signer note.Signer, vkey string) {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	must(t, err)
	signer, err = note.NewSigner(skey)
	must(t, err)
	return signer, vkey
}

// after is a time after noon.
func after(d time.Duration) time.Time { return commandtest.Noon.Add(d) }

// export makes a pack as the auditor.
func (l *lab) export(q evidence.Request) []byte {
	l.T.Helper()
	q.Space = "ward"
	var b bytes.Buffer
	must(l.T, l.exporter.Export(l.T.Context(), l.As("auditor"), q, func(string) io.Writer { return &b }))
	return b.Bytes()
}

// TestExports: packs as the exporter writes them, with every report, of periods
// that follow each other, and of one in which nothing happened.
func TestExports(t *testing.T) {
	l, p := newLab(t), newPair(t)
	l.Set(after(time.Hour))
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"SECOND": commandtest.Value("x")}}, l.As("dev")) // exactly between two periods
	l.Set(after(90 * time.Minute))
	l.Do(&apps.Create{Name: "doomed", Space: "ward", Domain: "apps.localhost"}, l.As("dev"))
	l.Set(after(2 * time.Hour))
	first := l.export(evidence.Request{From: after(-time.Hour), To: after(time.Hour), Recordings: true})
	_, since := l.signing.Newest()
	l.Set(after(3 * time.Hour))
	l.Do(&apps.Destroy{Identity: "doomed"}, l.As("owner"))
	l.Do(&releases.Approve{App: "clinic", Identity: "v3"}, l.As("approver"))
	l.Do(&teams.RevokeRole{Team: "care", Email: "viewer@example.org"}, l.As("owner"))
	l.Set(after(5 * time.Hour))
	second := l.export(evidence.Request{From: after(time.Hour), To: after(210 * time.Minute), Since: since})
	l.Set(after(6 * time.Hour))
	third := l.export(evidence.Request{From: after(210 * time.Minute), To: after(5 * time.Hour)})
	l.Set(after(8 * time.Hour))
	empty := l.export(evidence.Request{From: after(7 * time.Hour), To: after(7*time.Hour + time.Second)})

	key := pack.Options{Key: l.vkey}
	for what, b := range map[string][]byte{"first": first, "second": second, "third": third, "empty": empty} {
		p.accepted(t, what, b, key)
		if v := p.agree(t, what+" without a key", b, pack.Options{}); v.Verdict != "CONSISTENT" {
			t.Errorf("%s without a key: %+v", what, v)
		}
		_, other := newSigner(t, "somebody.else")
		p.refused(t, what+" with another key", b, pack.Options{Key: other}, pack.SignatureGroup)
	}
	p.accepted(t, "second after first", second, pack.Options{Key: l.vkey, Since: since, Previous: archive(first)})
	p.accepted(t, "third after second", third, pack.Options{Key: l.vkey, Previous: archive(second)})
	p.refused(t, "third after first", third, pack.Options{Key: l.vkey, Previous: archive(first)}, pack.OpeningGroup)
	p.refused(t, "third without proof of growth", third, pack.Options{Key: l.vkey, Since: since}, pack.HeadersGroup)

	// With its manifest made anew, a proof of growth that was altered.
	f := takeApart(t, second)
	for i, flipped := range flips(f.content["ledger/consistency.json"], 12) {
		g := f.with("ledger/consistency.json", flipped)
		v := p.agree(t, "consistency.json", g.resigned(t, l.signer), pack.Options{Key: l.vkey, Since: since})
		if v.Verdict != "REFUSED" {
			t.Errorf("consistency.json, flip %d: %s", i, flipped)
		}
	}
}

func archive(b []byte) *pack.Archive {
	return &pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
}
