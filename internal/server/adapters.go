package server

import (
	"context"
	"net"
	"net/netip"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/shell"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

// adapters fit the parts to the small interfaces that the API declares.
type adapters struct{ *parts }

// Offer implements api.Terminals.
func (a *adapters) Offer(_ context.Context, by control.By, t api.Terminal) (string, error) {
	offer := shell.Offer{
		By: by, Dyno: t.Dyno, Release: t.Release, Command: t.Command, TTY: t.TTY, Rows: t.Rows, Cols: t.Cols,
	}
	for _, e := range t.Env {
		offer.Env = append(offer.Env, driver.EnvVar{Name: e.Name, Value: e.Value})
	}
	_, port, err := net.SplitHostPort(a.cfg.Rendezvous)
	if err != nil {
		return "", err
	}
	return "rendezvous://" + net.JoinHostPort(a.cfg.Host, port) + "/" + a.desk.Promise(offer), nil
}

// Admit implements api.Bastion.
func (a *adapters) Admit(_ context.Context, by control.By, addon *document.Addon) (string, secret.Value, error) {
	key, err := a.desk.Admit(by, addon)
	return a.cfg.BastionHost, key, err
}

// Egress implements api.Network.
func (a *adapters) Egress(ctx context.Context, space string) ([]string, error) {
	o, err := a.driver.Observe(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, s := range o.Spaces {
		if s.ID == space && s.Egress != "" {
			out = append(out, s.Egress)
		}
	}
	return out, nil
}

// HostAddresses implements api.Network. The server runs where the spaces are.
func (*adapters) HostAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}

// Disk implements api.Network.
func (a *adapters) Disk(ctx context.Context, volume string) (used, size int64, err error) {
	o, err := a.driver.Observe(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, v := range o.Volumes {
		if v.ID == volume {
			return v.Used, v.Bytes, nil
		}
	}
	return 0, 0, fault.New(fault.NotFound, "There is no volume %s.", volume)
}

// Stats implements api.Network.
func (a *adapters) Stats(ctx context.Context, addon *document.Addon) (view.DatabaseStats, error) {
	var space *document.Space
	err := a.store.Read(ctx, func(v store.View) (err error) {
		space, err = store.Get[*document.Space](v, addon.Space)
		return err
	})
	if err != nil {
		return view.DatabaseStats{}, err
	}
	sealed := addon.Roles[0].Password
	password, err := a.keyring.Open(ctx, sealed.ID, sealed.SHA256)
	if err != nil {
		return view.DatabaseStats{}, err
	}
	s, err := postgres.ReadStats(ctx, a.driver, addon, space.CA, password)
	return view.DatabaseStats(s), err
}

// live gives the output of a release phase that runs now, nil if none does.
func (a *adapters) live(kind, id string) api.LiveOutput {
	if o := a.runner.Live(id); kind == "release" && o != nil {
		return o
	}
	return nil
}
