package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// How a mail server is spoken to.
const (
	StartTLS = "starttls" // and not without it
	TLS      = "tls"      // from the beginning
	NoTLS    = "none"     // to the host itself alone
)

// Mail is the server that mail is given to.
type Mail struct {
	Server   string // host:port; "" = there is none
	Security string // StartTLS, TLS or NoTLS
	User     string // "" = nobody logs in
	Password func() (secret.Value, error)
	From     string
	Roots    *x509.CertPool // nil = the host's
}

// Check refuses what could not work or would send a password in the clear.
func (m Mail) Check() error {
	if m.Server == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil || host == "" {
		return fault.New(fault.Invalid, "alerts.smtp.server: %q is not a host and port such as mail.example.org:587", m.Server)
	}
	local, _ := netip.ParseAddr(host)
	switch {
	case m.Security == NoTLS && !local.IsLoopback():
		return fault.New(fault.Invalid, "alerts.smtp.security: %q is for a server at 127.0.0.1 only", NoTLS)
	case m.Security == NoTLS && m.User != "":
		return fault.New(fault.Invalid, "alerts.smtp.user: nobody logs in without TLS")
	case m.Security != StartTLS && m.Security != TLS && m.Security != NoTLS:
		return fault.New(fault.Invalid, "alerts.smtp.security: %q is neither %q nor %q", m.Security, StartTLS, TLS)
	case (m.User == "") != (m.Password == nil):
		return fault.New(fault.Invalid, "alerts.smtp: user and password_file belong together")
	}
	return nil
}

func (m Mail) send(ctx context.Context, to string, msg *Message) error {
	if m.Server == "" {
		return fault.New(fault.Invalid, "This installation has no mail server. Its operator sets one: server.alerts.smtp.")
	}
	c, err := m.connect(ctx)
	if err != nil {
		return refusedMail(err)
	}
	defer c.Close()
	if err := m.give(c, to, msg); err != nil {
		return refusedMail(err)
	}
	return nil
}

// connect greets the server, under TLS unless it is the host itself.
func (m Mail) connect(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	config := &tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
	if m.Security == TLS {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if m.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, errors.Join(errNoTLS, c.Close())
		}
		if err := c.StartTLS(config); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

var errNoTLS = fault.New(fault.Unavailable, "The mail server does not offer STARTTLS; nothing was sent.")

func (m Mail) give(c *smtp.Client, to string, msg *Message) error {
	if m.User != "" {
		password, err := m.Password()
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "The mail server's password cannot be read.")
		}
		host, _, _ := net.SplitHostPort(m.Server)
		if err := c.Auth(smtp.PlainAuth("", m.User, string(password.Reveal()), host)); err != nil {
			return err
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	raw, err := m.compose(to, msg, time.Now())
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // from here on the server has it
		return err
	}
	_ = c.Quit() // whatever it answers now
	return nil
}

// compose is the message (RFC 5322), with nothing in it that ends a line but
// where a line ends.
func (m Mail) compose(to string, msg *Message, now time.Time) ([]byte, error) {
	_, domain, _ := strings.Cut(m.From, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", "Strongroom <" + m.From + ">"},
		{"To", "<" + to + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", plain(msg.subject()))},
		{"Date", now.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + msg.ID + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		if strings.ContainsAny(h[1], "\r\n") && h[0] != "Subject" { // a long subject is folded
			return nil, fmt.Errorf("the header %s has several lines", h[0])
		}
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(msg.text(), "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

// refusedMail says in our own words what the mail server said: its code.
func refusedMail(err error) error {
	var said *textproto.Error
	var cert *tls.CertificateVerificationError
	switch {
	case fault.Message(err) != "":
		return err
	case errors.As(err, &said):
		return fault.Wrap(fault.Unavailable, err, "The mail server answered with the code %d.", said.Code)
	case errors.As(err, &cert):
		return fault.Wrap(fault.Unavailable, err, "The mail server's certificate is not trusted.")
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("mail: %w", err), "The mail server could not be reached.")
}
