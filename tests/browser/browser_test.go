//go:build integration

// Package browser opens index.html of a pack, and the verifier that is a page of
// its own, as an auditor does: in Chromium, from disk, with the network off.
package browser

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/evidencetest"
	"github.com/strongroom/strongroom/internal/evidence/reader"
)

// page is a page with the verifier in it, in a browser of its own.
type page struct {
	*testing.T
	ctx context.Context
	dir string // for packs

	mu       sync.Mutex
	loaded   []string // addresses that it asked for
	problems []string // errors of its script, and what its policy forbade
}

// open starts Chromium without a network and opens the file.
func open(t *testing.T, file string) *page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"),
	)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	p := &page{T: t, ctx: ctx, dir: t.TempDir()}
	must(t, chromedp.Listen(ctx, p.heard))
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: true})
	must(t, chromedp.Do(ctx, chromedp.Navigate("file://"+file)))
	t.Cleanup(p.quiet)
	return p
}

func call[P, R any](p *page, command cdp.Command[P, R], params P) {
	p.Helper()
	_, err := chromedp.Call(p.ctx, command, params)
	must(p.T, err)
}

// heard takes what Chromium tells of the page.
func (p *page) heard(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.loaded = append(p.loaded, e.Request.URL)
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.problems = append(p.problems, e.Entry.Text)
	}
}

// quiet wants that the page asked for itself and for nothing else, and that
// nothing went wrong in it.
func (p *page) quiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.loaded) != 1 || !strings.HasPrefix(p.loaded[0], "file://") {
		p.Errorf("the page asked for %q", p.loaded)
	}
	if len(p.problems) > 0 {
		p.Errorf("the page had problems: %q", p.problems)
	}
}

// verdict is what the page shows.
type verdict struct {
	Verdict string   `json:"verdict"`
	Says    string   `json:"says"`   // the whole box
	Checks  []string `json:"checks"` // their states, in order
	Status  string   `json:"status"`
	Explore bool     `json:"explore"` // the entries can be looked into
}

// given presses the button, and tells what is shown when the page is done.
const given = `(async (key) => {
	const at = (id) => document.getElementById(id);
	at('key').value = key;
	at('verdict').hidden = true;
	at('run').click();
	while (at('run').disabled) await new Promise((resolve) => setTimeout(resolve, 5));
	return {
		verdict: at('verdict').hidden ? '' : at('verdict').querySelector('strong').textContent, says: at('verdict').textContent, status: at('status').textContent,
		checks: [...at('checks').children].map((li) => li.className), explore: !at('explore').hidden,
	};
})`

// verify gives the pack and the key to the page.
func (p *page) verify(pack []byte, key string) verdict {
	p.Helper()
	path := filepath.Join(p.dir, "pack.zip")
	must(p.T, os.WriteFile(path, pack, 0o600))
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	must(p.T, chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS("#pack"), []string{path})))
	v, err := chromedp.Run(ctx, chromedp.Evaluate[verdict](given+"("+string(quoted(p.T, key))+")", chromedp.EvalAwaitPromise))
	must(p.T, err)
	return v
}

func quoted(t *testing.T, text string) []byte {
	b, err := json.Marshal(text)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exported is a pack of everything that the world of evidencetest has, its
// files, and the log's key.
func exported(t *testing.T) (b []byte, files map[string][]byte, key string) {
	t.Helper()
	l := evidencetest.New(t)
	l.Set(evidencetest.After(2 * time.Hour))
	b = l.Export(evidence.Request{From: evidencetest.After(-time.Hour), To: evidencetest.After(time.Hour), Recordings: true})
	return b, content(t, b), l.VKey
}

func content(t *testing.T, pack []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(pack), int64(len(pack)))
	must(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		in, err := f.Open()
		must(t, err)
		files[f.Name], err = io.ReadAll(in)
		must(t, err)
	}
	return files
}

// index opens index.html of a pack that was unpacked.
func index(t *testing.T, files map[string][]byte) *page {
	t.Helper()
	path := filepath.Join(t.TempDir(), "index.html")
	must(t, os.WriteFile(path, files["index.html"], 0o600))
	return open(t, path)
}

// alone opens the verifier that is a page of its own.
func alone(t *testing.T) *page {
	t.Helper()
	r, err := reader.New()
	must(t, err)
	b, err := r.Page()
	must(t, err)
	path := filepath.Join(t.TempDir(), "verifier.html")
	must(t, os.WriteFile(path, b, 0o600))
	return open(t, path)
}
