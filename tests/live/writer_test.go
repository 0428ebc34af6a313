//go:build live

package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// writer is an app that serves HTTP and writes numbered lines of 1,000 bytes to
// its standard output all the time: 1,000 a second, unless told otherwise. It
// knows how long its event loop ever stood still, which a full pipe makes it do.
type writer struct {
	*site
	name   string
	client *http.Client
	boot   string // of the process that ran at the beginning
}

const writerSource = `import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';

const boot = randomUUID();
let [lines, rate, worst, owed, last] = [0, 1000, 0, 0, performance.now()];

function write() {
  const now = performance.now();
  const gap = now - last;
  last = now;
  worst = Math.max(worst, gap);
  owed = Math.min(owed + rate * gap / 1000, rate / 2);
  let out = '';
  for (; owed >= 1; owed--) out += (boot + ' ' + ++lines + ' ').padEnd(999, 'x') + '\n';
  if (out) process.stdout.write(out);
}
setInterval(write, 10);

createServer((request, response) => {
  const url = new URL(request.url, 'http://writer');
  if (url.searchParams.has('rate')) rate = Number(url.searchParams.get('rate'));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ boot, lines, worst: Math.round(worst), greeting: process.env.GREETING ?? '' }));
  if (url.searchParams.has('reset')) worst = 0;
}).listen(Number(process.env.PORT), '::');
process.once('SIGTERM', () => process.exit(0));
`

// source is the files of an app without dependencies.
func source(name, server string) map[string]string {
	engines := `"engines": {"node": "24.x"}`
	return map[string]string{
		"server.js":         server,
		"Procfile":          "web: node server.js\n",
		"package.json":      `{"name": "` + name + `", "version": "1.0.0", "private": true, "type": "module", ` + engines + `}`,
		"package-lock.json": `{"name": "` + name + `", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {"": {"name": "` + name + `", "version": "1.0.0", ` + engines + `}}}`,
	}
}

// newWriter deploys one.
func newWriter(t *testing.T, s *site, space string) *writer {
	t.Helper()
	w := &writer{site: s, name: s.newApp(t, "writer", space)}
	s.push(t, w.name, s.repository(t, t.TempDir(), w.name, "", source("writer", writerSource)))
	eventually(t, time.Minute, "the writer answering", func() error {
		if w.client == nil {
			// It has a certificate once it has a route.
			w.client = s.client(t, w.name)
		}
		_, err := w.progress("/")
		if err != nil {
			w.client = nil
		}
		return err
	})
	w.boot = must[progress](t)(w.progress("/?reset")).Boot
	return w
}

// progress is what the writer says of itself.
type progress struct {
	Boot     string `json:"boot"`     // of the process
	Lines    int64  `json:"lines"`    // that it wrote
	Worst    int64  `json:"worst"`    // milliseconds that it once stood still
	Greeting string `json:"greeting"` // a config var
}

func (w *writer) progress(path string) (p progress, err error) {
	text, err := w.get(w.client, w.name, path)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(text), &p)
}

// since wants the process of the beginning to have gone on writing since an
// earlier look, without ever having stood still for longer than pause.
func (w *writer) since(t *testing.T, before progress, at time.Time, pause time.Duration) progress {
	t.Helper()
	now := must[progress](t)(w.progress("/"))
	if now.Boot != w.boot {
		t.Errorf("the dyno was restarted")
	}
	if worst := time.Duration(now.Worst) * time.Millisecond; worst > pause {
		t.Errorf("the dyno stood still for %s, more than %s", worst, pause)
	}
	// Half of what it is to write: the machine may be busy.
	if wrote, d := now.Lines-before.Lines, time.Since(at); pause < time.Minute && float64(wrote) < 500*(d-pause).Seconds() {
		t.Errorf("the dyno wrote %d lines in %s", wrote, d.Round(time.Millisecond))
	}
	return now
}

// prober sends requests to an app without pause, each over a connection of its
// own, and notes what fails.
type prober struct {
	mu     sync.Mutex
	failed []failure
	count  int
	worst  time.Duration // the slowest answer
	stop   func()
}

type failure struct {
	at  time.Time
	err error
}

// probeEvery makes 20 requests a second.
const probeEvery = 50 * time.Millisecond

func newProber(t *testing.T, w *writer) *prober {
	t.Helper()
	p := &prober{}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				running.Go(func() { p.probe(w) })
			}
		}
	})
	p.stop = sync.OnceFunc(func() { close(done); running.Wait() })
	t.Cleanup(p.stop)
	return p
}

func (p *prober) probe(w *writer) {
	at := time.Now()
	_, err := w.progress("/")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.worst = max(p.worst, time.Since(at))
	if err != nil {
		p.failed = append(p.failed, failure{at, err})
	}
}

// take gives the failures since it was last asked.
func (p *prober) take() []failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.failed
	p.failed = nil
	return list
}

// none wants no request to have failed.
func (p *prober) none(t *testing.T, when string) {
	t.Helper()
	for _, f := range p.take() {
		t.Errorf("%s: a request of %s failed: %v", when, f.at.Format(time.StampMilli), f.err)
	}
}

func (p *prober) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d requests, the slowest took %s", p.count, p.worst.Round(time.Millisecond))
}
