package server

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/logs"
	"github.com/strongroom/strongroom/internal/shell"
	"github.com/strongroom/strongroom/internal/store"
)

// logDesk implements api.Logs.
type logDesk struct {
	sessions *logs.Sessions
	url      string
}

// newLogs gives the API its log sessions and the handler that serves them.
func newLogs(p *parts) (*logDesk, http.Handler) {
	sessions := logs.NewSessions()
	mux := http.NewServeMux()
	mux.Handle("GET /log-streams/{token}", logs.NewHandler(sessions, p.driver, p.log))
	return &logDesk{sessions, p.cfg.apiURL()}, mux
}

// Open implements api.Logs.
func (d *logDesk) Open(_ context.Context, by control.By, q api.LogQuery) (string, error) {
	token, err := d.sessions.Create(logs.Session{
		Space: q.App.Space, App: q.App.ID, Lines: q.Lines, Tail: q.Tail, Dyno: q.Dyno, Source: q.Source, Owner: by.Actor.ID,
	})
	return d.url + "/log-streams/" + token, err
}

// lookAgain is how often it is looked whether the readers of logs still may: at
// most at each change, at least so often.
const (
	lookAgain  = time.Second
	lookAtMost = 100 * time.Millisecond
)

// watch ends the log sessions of those who lost the right to them, until ctx
// ends: whoever is suspended or loses a role stops reading.
func (d *logDesk) watch(ctx context.Context, p *parts) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		changed := p.kernel.Changed()
		if err := d.endWithdrawn(ctx, p.store); err != nil && ctx.Err() == nil {
			p.log.Warn("it is not known whether the readers of logs still may", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			continue
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookAtMost):
		}
	}
}

// reader is an account that reads an app's log.
type reader struct{ account, app string }

func (d *logDesk) endWithdrawn(ctx context.Context, st store.Store) error {
	may := map[reader]bool{}
	for _, s := range d.sessions.Open() {
		may[reader{s.Owner, s.App}] = false
	}
	if len(may) == 0 {
		return nil
	}
	err := st.Read(ctx, func(v store.View) (err error) {
		for r := range may {
			if may[r], err = shell.Permitted(v, r.account, r.app, authz.AppOperate); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.sessions.End(func(s logs.Session) bool {
		ok, known := may[reader{s.Owner, s.App}]
		return known && !ok
	})
	return nil
}

// packDesk implements api.Evidence.
type packDesk struct{ exporter *evidence.Exporter }

func newEvidence(p *parts) packDesk {
	waiting := p.cfg.serverPath("packs")
	if err := os.RemoveAll(waiting); err != nil { // what a crash may have left
		p.log.Warn("reports of packs that were not finished stay on disk", "error", err)
	}
	return packDesk{evidence.New(evidence.Config{
		Store: p.store, Kernel: p.kernel, Checkpoints: p.checkpoints, Blobs: p.blobs, Signer: p.noteSigner,
		Installation: p.installation, Programme: p.programme, Outside: p.outside, Program: "strongroom " + p.cfg.Version, Now: time.Now, Tell: p.checks.Tell, Temp: waiting,
	})}
}

// Export implements api.Evidence.
func (d packDesk) Export(ctx context.Context, by control.By, x api.Export, begin func(name string) io.Writer) error {
	return d.exporter.Export(ctx, by, evidence.Request{Space: x.Space, Ended: x.Ended, From: x.From, To: x.To, Recordings: x.Recordings, Since: x.Since, Items: x.Items, Notice: x.Notice}, begin)
}

// authenticate gives the actor behind a git request.
func (p *parts) authenticate(r *http.Request) (control.By, error) {
	a := api.Authenticator{Store: p.store, Kernel: p.kernel, Via: ledger.ViaGit, TrustedProxies: p.cfg.proxies}
	return a.Authenticate(r)
}
