//go:build integration

package browser

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/chromedp/chromedp"
	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/ledger"
)

// witnesses cosign every checkpoint of a log that they are shown.
type witnesses struct {
	*testing.T
	log  note.Verifier
	sign []note.Signer
}

func (w witnesses) Cosign(_ context.Context, _ ledger.Checkpoint, signed []byte, _ time.Time) []byte {
	n, err := note.Open(signed, note.VerifierList(w.log))
	must(w.T, err)
	out, err := note.Sign(n, w.sign...)
	must(w.T, err)
	return out
}

func (witnesses) Stamp(context.Context, ledger.Checkpoint, time.Time) []byte { return nil }

func newWitness(t *testing.T, name string) *torchwood.CosignatureSigner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s, err := torchwood.NewCosignatureSigner(name, key)
	must(t, err)
	return s
}

// outside is what else the form takes.
type outside struct {
	witnesses, quorum string
	since, previous   []byte // nil: none
}

// fill gives it to the form.
func (p *page) fill(o outside) {
	p.Helper()
	does[bool](p, `at('witnesses').value = `+string(quoted(p.T, o.witnesses))+`; at('quorum').value = `+string(quoted(p.T, o.quorum))+`; at('since').value = ''; at('previous').value = ''; at('status').textContent = ''; return true;`)
	for id, content := range map[string][]byte{"since": o.since, "previous": o.previous} {
		if content == nil {
			continue
		}
		path := filepath.Join(p.dir, id)
		must(p.T, os.WriteFile(path, content, 0o600))
		must(p.T, chromedp.Do(p.ctx, chromedp.SetUploadFiles(chromedp.CSS("#"+id), []string{path})))
	}
}

// TestOutside gives the page what an auditor has from elsewhere: keys of
// witnesses, a checkpoint that was kept, the pack of the period before.
func TestOutside(t *testing.T) {
	l := evidencetest.New(t)
	key, err := note.NewVerifier(l.VKey)
	must(t, err)
	first, second, other := newWitness(t, "first.example.org"), newWitness(t, "second.example.org"), newWitness(t, "other.example.org")
	l.Config.Outside = witnesses{t, key, []note.Signer{first, second}}
	l.Exporter = evidence.New(l.Config)
	l.Set(evidencetest.After(time.Hour))
	before := l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(30 * time.Minute)})
	kept := content(t, before)["checkpoint"]
	l.Set(evidencetest.After(3 * time.Hour))
	b := l.Export(evidence.Request{From: evidencetest.After(30 * time.Minute), To: evidencetest.After(2 * time.Hour), Since: kept})
	strange := evidencetest.New(t)
	strange.Set(evidencetest.After(2 * time.Hour))
	foreign := strange.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(30 * time.Minute)})

	keys := func(list ...*torchwood.CosignatureSigner) (out string) {
		for _, s := range list {
			out += s.Verifier().String() + "\n"
		}
		return out
	}
	p := alone(t)
	for _, test := range []struct {
		name          string
		given         outside
		verdict, says string
	}{
		{"nothing", outside{}, "VERIFIED", "NOT WITNESSED"},
		{"two witnesses", outside{witnesses: keys(first, second)}, "VERIFIED", "witnessed by second.example.org at 20"},
		{"one that did not cosign", outside{witnesses: keys(first, other)}, "REFUSED", "1 of the 2 given witnesses"},
		{"one of two is enough", outside{witnesses: keys(first, other), quorum: "1"}, "VERIFIED", "witnessed by first.example.org"},
		{"more than there are", outside{witnesses: keys(first), quorum: "2"}, "", "More witnesses are wanted"},
		{"half a witness", outside{witnesses: keys(first), quorum: "0.5"}, "", "is a whole number"},
		{"none of a witness", outside{witnesses: keys(first), quorum: "0"}, "", "is a whole number"},
		{"one of none", outside{quorum: "1"}, "", "More witnesses are wanted"},
		{"no witness's key", outside{witnesses: "witness"}, "", "A witness’s key cannot be used"},
		{"the log's key as a witness's", outside{witnesses: l.VKey}, "", "is a key of another kind"},
		{"an older checkpoint", outside{since: kept}, "VERIFIED", "the log only grew since it had"},
		{"another log's checkpoint", outside{since: content(t, foreign)["checkpoint"]}, "REFUSED", "In "},
		{"no checkpoint", outside{since: []byte("hello")}, "REFUSED", "In "},
		{"the pack before", outside{previous: before}, "VERIFIED", "proven by the previous pack"},
		{"another log's pack", outside{previous: foreign}, "REFUSED", "In the previous pack"},
		{"the pack itself as the one before", outside{previous: b}, "REFUSED", "does not end when this period begins"},
		{"all at once", outside{keys(first, second), "2", kept, before}, "VERIFIED", "proven by the previous pack"},
	} {
		p.fill(test.given)
		v := p.verify(b, l.VKey)
		says := v.Says + v.Status + does[string](p, `return at('checks').textContent;`)
		if v.Verdict != test.verdict || !strings.Contains(says, test.says) {
			t.Errorf("%s: %+v\n%s", test.name, v, says)
		}
	}
}
