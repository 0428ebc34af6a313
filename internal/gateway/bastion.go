package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// BastionConfig says how a bastion behaves.
type BastionConfig struct {
	// Tunnels knows the keys.
	Tunnels Tunnels
	// HostKey identifies the bastion: an ECDSA key (see NewKey).
	HostKey ssh.Signer
	// Log takes what happens to connections. No keys, no content.
	Log *slog.Logger

	Handshake time.Duration // until the client has proven its key; 0 means 20 s
	Dial      time.Duration // for Tunnel.Dial; 0 means 10 s
	Idle      time.Duration // a tunnel without a byte ends; 0 means 1 h
	MaxAge    time.Duration // a tunnel ends after this in any case; 0 means 12 h
	Finish    time.Duration // for closing a tunnel; 0 means 30 s
	Channels  int           // open at the same time in one connection; 0 means 8

	// Limits bounds what clients without a tunnel can do.
	Limits Limits
}

// Bastion is an SSH server that forwards connections to databases, and does
// nothing else: no shell, no commands, no agent, no forwarding back.
type Bastion struct {
	cfg     BastionConfig
	sources *sources
}

// NewBastion returns a server that is ready to serve.
func NewBastion(cfg BastionConfig) (*Bastion, error) {
	if cfg.Tunnels == nil || cfg.HostKey == nil || cfg.Log == nil {
		return nil, errors.New("gateway: the bastion needs tunnels, a host key and a log")
	}
	setDefault(&cfg.Handshake, 20*time.Second)
	setDefault(&cfg.Dial, 10*time.Second)
	setDefault(&cfg.Idle, time.Hour)
	setDefault(&cfg.MaxAge, 12*time.Hour)
	setDefault(&cfg.Finish, 30*time.Second)
	if cfg.Channels == 0 {
		cfg.Channels = 8
	}
	return &Bastion{cfg: cfg, sources: newSources(cfg.Limits)}, nil
}

// Stats counts connections since the start.
func (b *Bastion) Stats() Stats { return b.sources.stats() }

// Serve accepts connections from ln until ctx ends, then ends the tunnels, waits
// until all are closed, and returns nil. It closes ln.
func (b *Bastion) Serve(ctx context.Context, ln net.Listener) error {
	return serve(ctx, ln, b.sources, b.cfg.Log, b.handle)
}
