package shell

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/gateway"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/secret"
)

// tunnelType is the type of sessions that are connections to a database.
const tunnelType = "psql"

// tunnel is a way to a database that waits for its owner's key.
type tunnel struct {
	app, addon, name, host string
	by                     control.By
}

// Admit promises the actor a way to a database and mints the key for it, which
// works once. The session is recorded when the key is used.
func (d *Desk) Admit(by control.By, a *document.Addon) (privateKey secret.Value, err error) {
	private, public, err := gateway.NewKey(by.Actor.Email)
	if err != nil {
		return secret.Value{}, err
	}
	d.tunnels.Add(ssh.FingerprintSHA256(public), tunnel{app: a.App, addon: a.ID, name: a.Name, host: addons.Host(a), by: by})
	return secret.NewValue(private), nil
}

// Authorize implements gateway.Tunnels.
func (d *Desk) Authorize(ctx context.Context, _ string, key ssh.PublicKey, remote netip.Addr) (gateway.Tunnel, error) {
	name := ssh.FingerprintSHA256(key)
	t, ok := d.tunnels.Peek(name)
	if !ok {
		return gateway.Tunnel{}, d.refuse(ctx, "key", ledger.ViaSSH, remote)
	}
	var id string
	withdrawn := make(chan struct{})
	watching, stop := context.WithCancel(context.Background())
	return gateway.Tunnel{
		ID: name, Host: t.host, Port: postgres.Port, Done: withdrawn,
		Open: func(ctx context.Context) error {
			if _, ok := d.tunnels.Take(name); !ok {
				return d.refuse(ctx, "key", ledger.ViaSSH, remote)
			}
			by := t.by
			by.Via, by.Actor.IP = ledger.ViaSSH, remote.String()
			open := &sessions.Open{App: t.app, Dyno: t.name, Type: tunnelType}
			if _, err := d.cfg.Kernel.Execute(ctx, open, by); err != nil {
				return err
			}
			id = open.Session.ID
			go d.watch(watching, t.by.Actor.ID, t.app, withdrawn)
			return nil
		},
		Dial: func(ctx context.Context) (io.ReadWriteCloser, error) {
			return d.cfg.Driver.Dial(ctx, t.addon, postgres.Port)
		},
		Close: func(ctx context.Context, end gateway.TunnelEnding) error {
			stop()
			return d.close(ctx, &sessions.Close{
				ID: id, Bytes: end.In + end.Out, Why: fmt.Sprintf("%s after %d connections", end.Reason, end.Channels),
			})
		},
	}, nil
}
