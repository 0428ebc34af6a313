package server

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/logs"
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

// packDesk implements api.Evidence.
type packDesk struct{ exporter *evidence.Exporter }

func newEvidence(p *parts) packDesk {
	return packDesk{evidence.New(evidence.Config{
		Store: p.store, Kernel: p.kernel, Checkpoints: p.checkpoints, Blobs: p.blobs, Signer: p.noteSigner,
		Installation: p.installation, Program: "strongroom " + p.cfg.Version, Now: time.Now,
	})}
}

// Export implements api.Evidence.
func (d packDesk) Export(ctx context.Context, by control.By, x api.Export, begin func(name string) io.Writer) error {
	return d.exporter.Export(ctx, by, evidence.Request{Space: x.Space, From: x.From, To: x.To, Recordings: x.Recordings, Since: x.Since}, begin)
}

// authenticate gives the actor behind a git request.
func (p *parts) authenticate(r *http.Request) (control.By, error) {
	a := api.Authenticator{Store: p.store, Kernel: p.kernel, Via: ledger.ViaGit}
	return a.Authenticate(r)
}
