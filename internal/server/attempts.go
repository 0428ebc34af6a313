package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance/attempt"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/postgres"
	"github.com/strongroom/strongroom/internal/store"
)

// newAttempts is what the platform tries what must be refused with.
func newAttempts(p *parts) attempt.Config {
	return attempt.Config{
		Store: p.store, Kernel: p.kernel, Rehearse: p.kernel.Rehearse, Volumes: p.driver,
		API:   &attempt.Client{URL: "https://" + fromHere(p.cfg.API), HTTP: p.ownClient()},
		Doors: p.doors,
		Ledger: attempt.Ledger{
			Checkpoint: func(ctx context.Context) (ledger.Checkpoint, []byte, error) { return p.checkpoints.Sign(ctx) },
			Signer:     p.noteSigner, Verify: pack.Verify,
		},
	}
}

// ownClient connects to this server and no other: to whom shows the certificate
// that the server has.
func (p *parts) ownClient() *http.Client {
	own := func(shown tls.ConnectionState) error {
		if !bytes.Equal(shown.PeerCertificates[0].Raw, p.certificate) {
			return errors.New("somebody else answers at the API's address")
		}
		return nil
	}
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{
				ServerName: p.cfg.Host, MinVersion: tls.VersionTLS12, VerifyConnection: own,
				InsecureSkipVerify: true, // VerifyConnection does
			},
			IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fromHere is where this host reaches what listens at an address.
func fromHere(listens string) string {
	host, port, err := net.SplitHostPort(listens)
	if err != nil {
		return listens
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// doors lists what must speak TLS and nothing older than 1.2.
func (p *parts) doors(ctx context.Context) (out []attempt.Door, err error) {
	out = []attempt.Door{
		{Subject: "api", Name: "The API", Host: p.cfg.Host, Dial: dialer(p.cfg.API)},
		{Subject: "terminals", Name: "The rendezvous of terminals", Host: p.cfg.Host, Dial: dialer(p.cfg.Rendezvous)},
	}
	err = p.store.Read(ctx, func(v store.View) error {
		spaces, err := store.Find[*document.Space](v, "all", "")
		if err != nil {
			return err
		}
		for _, s := range spaces {
			if s.State != document.SpaceAllocated {
				continue
			}
			domains, err := store.Find[*document.Domain](v, "space", s.ID)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(domains, func(d *document.Domain) bool { return d.Default }); i >= 0 {
				out = append(out, p.edgeDoors(s, domains[i].Hostname)...)
			}
			addons, err := store.Find[*document.Addon](v, "space", s.ID)
			if err != nil {
				return err
			}
			for _, a := range addons {
				if a.State == document.AddonProvisioned {
					out = append(out, p.databaseDoor(a))
				}
			}
		}
		return nil
	})
	return out, err
}

// edgeDoors are those of a space.
func (p *parts) edgeDoors(s *document.Space, host string) (out []attempt.Door) {
	const hint = "The space's trusted networks have to hold an address of this host, such as 127.0.0.0/8, for it to be tried."
	if p.cfg.EdgeHTTPS != "" {
		out = append(out, attempt.Door{Scope: s.ID, Subject: s.ID, Name: "The space " + s.Name, Host: host, Dial: dialer(p.cfg.EdgeHTTPS), Hint: hint})
	}
	if p.cfg.EdgeHTTP != "" {
		out = append(out, attempt.Door{
			Scope: s.ID, Subject: "http", Name: "The HTTP port of the space " + s.Name, Host: host, Dial: dialer(p.cfg.EdgeHTTP), Redirects: true, Hint: hint,
		})
	}
	return out
}

func (p *parts) databaseDoor(a *document.Addon) attempt.Door {
	return attempt.Door{Scope: a.Space, Subject: a.ID, Name: "The database " + a.Name, Database: true, Dial: func(ctx context.Context) (net.Conn, error) {
		c, err := p.driver.Dial(ctx, a.ID, postgres.Port)
		if err != nil {
			return nil, err
		}
		return postgres.AsConn(c), nil
	}}
}

func dialer(listens string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", fromHere(listens))
	}
}
