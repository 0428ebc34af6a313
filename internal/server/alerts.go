package server

import (
	"bytes"
	"crypto/x509"
	"net"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/alert"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// AlertsConfig is how findings reach people; where they are sent to is on record,
// see `strongroom alerts`.
type AlertsConfig struct {
	// Allow lists hosts, as host:port, that webhooks may reach although their
	// addresses are not public.
	Allow []string `json:"allow"`
	// CAFile holds the certificates by which webhooks and the mail server are
	// known; "" = the host's.
	CAFile string `json:"ca_file"`
	// SMTP is the server that mail is given to; without one there is no mail.
	SMTP SMTPConfig `json:"smtp"`
}

// SMTPConfig is a mail server.
type SMTPConfig struct {
	Server string `json:"server"` // as mail.example.org:587
	// Security is "starttls" (the default), "tls", or "none" for a server at
	// 127.0.0.1.
	Security string `json:"security"`
	// User logs in with the content of PasswordFile; both or none.
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	From         string `json:"from"` // the sender's address
}

// check refuses what no alert could be sent with.
func (c AlertsConfig) check() error {
	for _, a := range c.Allow {
		host, port, err := net.SplitHostPort(a)
		if err == nil {
			_, err = newEndpoint("alerts.allow", host, port)
		}
		if err != nil {
			return fault.New(fault.Invalid, "alerts.allow: %q is not a host and port such as alerts.example.org:443", a)
		}
	}
	if c.SMTP.Server == "" {
		return nil
	}
	if _, err := document.CleanEmail(c.SMTP.From); err != nil {
		return fault.New(fault.Invalid, "alerts.smtp.from: %s", fault.Message(err))
	}
	return c.mail(nil).Check()
}

func (c AlertsConfig) mail(roots *x509.CertPool) alert.Mail {
	m := alert.Mail{Server: c.SMTP.Server, Security: c.SMTP.Security, User: c.SMTP.User, From: c.SMTP.From, Roots: roots}
	if m.Security == "" {
		m.Security = alert.StartTLS
	}
	if file := c.SMTP.PasswordFile; file != "" {
		m.Password = func() (secret.Value, error) {
			raw, err := os.ReadFile(file)
			return secret.NewValue(bytes.TrimSpace(raw)), err
		}
	}
	return m
}

// newAlerts makes what sends findings.
func newAlerts(p *parts) (*alert.Sender, error) {
	c := p.cfg.Alerts
	var roots *x509.CertPool
	if c.CAFile != "" {
		raw, err := os.ReadFile(c.CAFile)
		if roots = x509.NewCertPool(); err != nil || !roots.AppendCertsFromPEM(raw) {
			return nil, fault.New(fault.Invalid, "alerts.ca_file: %q holds no certificate that can be read", c.CAFile)
		}
	}
	return alert.New(alert.Config{
		Store: p.store, Kernel: p.kernel, Keyring: p.keyring, Log: p.log, Now: time.Now, Title: p.title,
		Webhook: alert.Webhook{Allow: c.Allow, Roots: roots}, Mail: c.mail(roots),
	}), nil
}

// title is what a check is about.
func (p *parts) title(check string) string {
	if c := p.programme.Check(check); c != nil {
		return c.Title
	}
	return check
}
