//go:build integration

package browser

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/sample"
	"github.com/strongroom/strongroom/internal/secret"
)

// evil is what somebody could type for a reason.
const evil = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

// helpers are what a person does, for scripts.
const helpers = `
const at = (id) => document.getElementById(id);
const later = (done) => new Promise((resolve) => { const look = () => (done() ? resolve(done()) : setTimeout(look, 10)); look(); });
const type = (id, text) => { at(id).value = text; at(id).dispatchEvent(new Event('input', { bubbles: true })); at(id).dispatchEvent(new Event('change', { bubbles: true })); };
const rows = () => [...document.querySelectorAll('#explore tbody tr[id]')];
const count = () => document.querySelector('.pages [role=status]').textContent;
`

// does runs a script that ends with return, and gives what it returns.
func does[T any](p *page, script string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T]("(async () => {"+helpers+script+"})()", chromedp.EvalAwaitPromise))
	must(p.T, err)
	return v
}

// TestExplore: search, filters, links to entries, a sample and a dossier, in a
// pack in which somebody typed markup.
func TestExplore(t *testing.T) {
	l := evidencetest.New(t)
	l.Set(evidencetest.After(30 * time.Minute))
	by := l.As("dev")
	by.Reason = evil
	for range 150 {
		l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"LEVEL": commandtest.Value("x")}}, by)
	}
	l.Set(evidencetest.After(2 * time.Hour))
	b := l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(time.Hour)})
	p := index(t, content(t, b))
	if v := p.verify(b, l.VKey); v.Verdict != "VERIFIED" || !v.Explore {
		t.Fatalf("%+v", v)
	}
	if got := does[string](p, `type('find-text', 'RELEASE.approve clinic'); await later(() => count().endsWith(' of 1')); return rows()[0].textContent;`); !strings.Contains(got, "approver@example.org") {
		t.Errorf("found %q", got)
	}
	shown := does[[]string](p, `
		type('find-text', 'onerror'); await later(() => count().endsWith(' of 300'));
		const first = [count(), String(rows().length)];
		type('find-action', 'config.set'); await later(() => count().endsWith(' of 150'));
		[...document.querySelectorAll('.pages button')].find((b) => b.textContent === 'Last').click();
		rows()[0].querySelector('button').click();
		return [...first, count(), String(rows().length), document.querySelector('tr.opened').textContent, String(document.querySelectorAll('#explore img, #explore script').length), document.title];`)
	if want := []string{"1–100 of 300", "100", "101–150 of 150", "50"}; !slices.Equal(shown[:4], want) || !strings.Contains(shown[4], evil) || shown[5] != "0" || shown[6] == "owned" {
		t.Errorf("%q", shown)
	}
	linked := does[[]string](p, `
		location.hash = '#seq-43'; await later(() => document.querySelector('#seq-43 + .opened'));
		const opened = document.querySelector('#seq-43 + .opened');
		opened.querySelector('a[href="#seq-42"]').click(); await later(() => document.querySelector('#seq-42 + .opened'));
		location.hash = '#seq-99999'; await later(() => document.body.textContent.includes('does not hold the body of entry 99999'));
		return [opened.textContent, document.activeElement.textContent];`)
	if !strings.Contains(linked[0], "approver@example.org (approver) did release.live of the release clinic v2") || linked[1] != "42" {
		t.Errorf("%q", linked)
	}
	sample := does[[]string](p, `
		type('sample-report', '0'); type('sample-seed', 'dice 4 1'); type('sample-count', '2');
		at('sample-seed').form.requestSubmit(); await later(() => document.querySelector('.dossier-of'));
		const identities = [...document.querySelectorAll('.dossier-of')].map((b) => b.closest('tr').cells[1].textContent);
		document.querySelector('.dossier-of').click();
		return [identities.join(' '), [...document.querySelectorAll('.told h5 a')].map((a) => a.textContent).join(' '), document.activeElement.textContent];`)
	source := pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
	if identities, story := drawn(t, source, l.VKey); sample[0] != identities || sample[1] != story || !strings.Contains(sample[2], "Dossier of ") {
		t.Errorf("%q, the program draws %q with the story %q", sample, identities, story)
	}
}

// drawn is what the program draws: identities of items, and the entries of the
// first one's story.
func drawn(t *testing.T, source pack.Archive, key string) (identities, story string) {
	t.Helper()
	p, err := pack.Open(t.Context(), source, pack.Options{Key: key})
	must(t, err)
	s, err := sample.Draw(t.Context(), p, sample.Ask{Report: "deployments", Seed: "dice 4 1", Count: 2})
	must(t, err)
	told, err := sample.Dossiers(t.Context(), p, s.Items)
	must(t, err)
	for _, i := range s.Items {
		identities += " " + i.Identity
	}
	for _, e := range told[0].Entries {
		story += " " + strconv.FormatInt(e.Seq, 10)
	}
	return strings.TrimSpace(identities), strings.TrimSpace(story)
}
