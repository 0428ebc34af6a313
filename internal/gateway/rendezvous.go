package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"
)

// RendezvousConfig says how a rendezvous server behaves.
type RendezvousConfig struct {
	// Sessions redeems the secrets.
	Sessions Sessions
	// TLS holds the certificate. The heroku CLI sends no SNI, so the server has
	// one certificate only; versions below 1.2 are refused whatever it says.
	TLS *tls.Config
	// Log takes what happens to connections. No secrets, no content.
	Log *slog.Logger

	Greeting time.Duration // for the handshake and the first line; 0 means 10 s
	Start    time.Duration // for Sessions.Redeem; 0 means 2 min
	Idle     time.Duration // a session without a byte ends; 0 means 1 h
	Pause    time.Duration // between the greeting and the first output; 0 means 150 ms
	Refusal  time.Duration // a wrong first line is answered by closing after this; 0 means 1 s
	Finish   time.Duration // for sealing and closing a session; 0 means 30 s

	// Limits bounds what clients without a session can do.
	Limits Limits
}

// Rendezvous is a server that connects clients with the processes they were
// promised.
type Rendezvous struct {
	cfg     RendezvousConfig
	sources *sources
}

// NewRendezvous returns a server that is ready to serve.
func NewRendezvous(cfg RendezvousConfig) (*Rendezvous, error) {
	if cfg.Sessions == nil || cfg.TLS == nil || cfg.Log == nil {
		return nil, errors.New("gateway: rendezvous needs sessions, TLS and a log")
	}
	setDefault(&cfg.Greeting, 10*time.Second)
	setDefault(&cfg.Start, 2*time.Minute)
	setDefault(&cfg.Idle, time.Hour)
	setDefault(&cfg.Pause, 150*time.Millisecond)
	setDefault(&cfg.Refusal, time.Second)
	setDefault(&cfg.Finish, 30*time.Second)
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.MinVersion = max(cfg.TLS.MinVersion, tls.VersionTLS12)
	cfg.TLS.NextProtos = nil
	// The client reads a record at a time: one write has to be one record.
	cfg.TLS.DynamicRecordSizingDisabled = true
	return &Rendezvous{cfg: cfg, sources: newSources(cfg.Limits)}, nil
}

// Stats counts connections since the start.
func (r *Rendezvous) Stats() Stats { return r.sources.stats() }

// Serve accepts connections from ln until ctx ends, then ends the sessions,
// waits until all are closed, and returns nil. It closes ln.
func (r *Rendezvous) Serve(ctx context.Context, ln net.Listener) error {
	return serve(ctx, ln, r.sources, r.cfg.Log, r.handle)
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
