package verifier

import (
	"bytes"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/secret"
)

// TestExports: packs as the exporter writes them, with every report, of periods
// that follow each other, and of one in which nothing happened.
func TestExports(t *testing.T) {
	l, p := evidencetest.New(t), newPair(t)
	l.Set(evidencetest.After(time.Hour))
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"SECOND": commandtest.Value("x")}}, l.As("dev")) // exactly between two periods
	l.Set(evidencetest.After(90 * time.Minute))
	l.Do(&apps.Create{Name: "doomed", Space: "ward", Domain: "apps.localhost"}, l.As("dev"))
	l.Set(evidencetest.After(2 * time.Hour))
	first := l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(time.Hour), Recordings: true})
	_, since := l.Signing.Newest()
	l.Set(evidencetest.After(3 * time.Hour))
	l.Do(&apps.Destroy{Identity: "doomed"}, l.As("owner"))
	l.Do(&releases.Approve{App: "clinic", Identity: "v3"}, l.As("approver"))
	l.Do(&teams.RevokeRole{Team: "care", Email: "viewer@example.org"}, l.As("owner"))
	l.Set(evidencetest.After(5 * time.Hour))
	second := l.Export(evidence.Request{From: evidencetest.After(time.Hour), To: evidencetest.After(210 * time.Minute), Since: since})
	l.Set(evidencetest.After(6 * time.Hour))
	third := l.Export(evidence.Request{From: evidencetest.After(210 * time.Minute), To: evidencetest.After(5 * time.Hour)})
	l.Set(evidencetest.After(8 * time.Hour))
	empty := l.Export(evidence.Request{From: evidencetest.After(7 * time.Hour), To: evidencetest.After(7*time.Hour + time.Second)})

	key := pack.Options{Key: l.VKey}
	for what, b := range map[string][]byte{"first": first, "second": second, "third": third, "empty": empty} {
		p.accepted(t, what, b, key)
		if v := p.agree(t, what+" without a key", b, pack.Options{}); v.Verdict != "CONSISTENT" {
			t.Errorf("%s without a key: %+v", what, v)
		}
		_, other := evidencetest.NewSigner(t, "somebody.else")
		p.refused(t, what+" with another key", b, pack.Options{Key: other}, pack.SignatureGroup)
	}
	p.accepted(t, "second after first", second, pack.Options{Key: l.VKey, Since: since, Previous: archive(first)})
	p.accepted(t, "third after second", third, pack.Options{Key: l.VKey, Previous: archive(second)})
	p.refused(t, "third after first", third, pack.Options{Key: l.VKey, Previous: archive(first)}, pack.OpeningGroup)
	p.refused(t, "third without proof of growth", third, pack.Options{Key: l.VKey, Since: since}, pack.HeadersGroup)

	// With its manifest made anew, a proof of growth that was altered.
	f := takeApart(t, second)
	for i, flipped := range flips(f.content["ledger/consistency.json"], 12) {
		g := f.with("ledger/consistency.json", flipped)
		v := p.agree(t, "consistency.json", g.resigned(t, l.Signer), pack.Options{Key: l.VKey, Since: since})
		if v.Verdict != "REFUSED" {
			t.Errorf("consistency.json, flip %d: %s", i, flipped)
		}
	}
}

func archive(b []byte) *pack.Archive {
	return &pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
}
