package alert_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/alert"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// postbox is a mail server that speaks as much SMTP as is needed.
type postbox struct {
	listener net.Listener
	config   *tls.Config
	implicit bool // TLS from the beginning
	plain    bool // no TLS
	refuses  string

	mu   sync.Mutex
	got  []letter
	said []string // commands, in the clear and under TLS
}

type letter struct {
	from, to, login string
	secure          bool
	raw             string
}

func newPostbox(t *testing.T) (*postbox, *x509.CertPool) {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	p := &postbox{config: &tls.Config{Certificates: certified.TLS.Certificates}}
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	g.Go(func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			g.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		p.listener.Close()
		g.Wait()
	})
	return p, roots
}

func (p *postbox) serve(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	l := letter{}
	if p.implicit {
		c, l.secure = tls.Server(c, p.config), true
	}
	in := bufio.NewReader(c)
	say := func(s string) { io.WriteString(c, s+"\r\n") } //nolint:errcheck // the client may be gone
	say("220 postbox")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		p.mu.Lock()
		p.said = append(p.said, line)
		p.mu.Unlock()
		verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		switch {
		case verb == p.refuses:
			say("550 <script>no such person as oncall</script>")
		case verb == "EHLO" && !l.secure && !p.plain:
			say("250-postbox\r\n250 STARTTLS")
		case verb == "EHLO":
			say("250-postbox\r\n250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go on")
			c, l.secure = tls.Server(c, p.config), true
			in = bufio.NewReader(c)
		case verb == "AUTH":
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH PLAIN "))
			l.login = string(raw)
			say("235 welcome")
		case verb == "MAIL":
			l.from = line
			say("250 ok")
		case verb == "RCPT":
			l.to += line
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				l.raw += strings.TrimPrefix(line, ".")
			}
			p.mu.Lock()
			p.got = append(p.got, l)
			p.mu.Unlock()
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

func (p *postbox) take() (got []letter, said []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got, said, p.got, p.said = p.got, p.said, nil, nil
	return got, said
}

func password() (secret.Value, error) { return secret.NewValue([]byte("correct horse")), nil }

// mailLab sends findings of care to oncall@example.org.
func mailLab(t *testing.T) (*lab, *postbox, *document.Alert) {
	t.Helper()
	l := newLab(t)
	p, roots := newPostbox(t)
	l.config.Mail = alert.Mail{
		Server: p.listener.Addr().String(), Security: alert.StartTLS, User: "strongroom", Password: password, From: "strongroom@example.org", Roots: roots,
	}
	if err := l.config.Mail.Check(); err != nil {
		t.Fatal(err)
	}
	l.sender = alert.New(l.config)
	add := &alerts.Add{Channel: document.AlertEmail, To: secret.NewValue([]byte("oncall@example.org")), Team: "care"}
	l.Do(add, l.As("owner"))
	return l, p, add.Alert
}

// TestMail: a finding arrives as one mail to one person, under TLS, and what
// somebody chose as a name begins no header and no line.
func TestMail(t *testing.T) {
	for _, security := range []string{alert.StartTLS, alert.TLS} {
		l, p, channel := mailLab(t)
		l.config.Mail.Security, p.implicit = security, security == alert.TLS
		l.sender = alert.New(l.config)
		l.says("ward\r\nBcc: all@example.org\r\n\r\n.\r\nMAIL FROM:<x@example.org>\u202e", document.StatusFail)
		l.turn()
		got, said := p.take()
		if len(got) != 1 || !got[0].secure || got[0].login != "\x00strongroom\x00correct horse" ||
			!strings.HasPrefix(got[0].from, "MAIL FROM:<strongroom@example.org>") || got[0].to != "RCPT TO:<oncall@example.org>" {
			t.Fatalf("%+v, %q", got, said)
		}
		m, err := mail.ReadMessage(strings.NewReader(got[0].raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != "[strongroom] high, opened: What state.trusted-ips is about" {
			t.Errorf("%q, %v", subject, err)
		}
		if m.Header.Get("Bcc") != "" || len(m.Header) != 9 || m.Header.Get("To") != "<oncall@example.org>" {
			t.Errorf("%v", m.Header)
		}
		if id := m.Header.Get("Message-ID"); !strings.HasPrefix(id, "<"+l.finding().ID+".") {
			t.Errorf("Message-ID %s", id)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		for _, words := range []string{"strongroom findings --all", "in the space ward", "controls:explain network.trusted-sources"} {
			if err != nil || !strings.Contains(string(body), words) {
				t.Errorf("without %q: %s, %v", words, body, err)
			}
		}
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, "Bcc") || strings.HasPrefix(line, "MAIL") || strings.ContainsRune(line, '\u202e') || strings.Contains(line, "dev@") {
				t.Errorf("%q", line)
			}
		}
		if a := commandtest.Get[*document.Alert](l.World, channel.ID); a.State != document.AlertDelivered {
			t.Errorf("%+v", a)
		}
	}
}

// TestMailRefused: what the server says goes nowhere but into a code, and nothing
// is said in the clear that is worth listening for.
func TestMailRefused(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(m *alert.Mail, p *postbox)
		words  string
	}{
		"nobody":    {func(_ *alert.Mail, p *postbox) { p.refuses = "RCPT" }, "The mail server answered with the code 550."},
		"no log-in": {func(_ *alert.Mail, p *postbox) { p.refuses = "AUTH" }, "The mail server answered with the code 550."},
		"no TLS":    {func(_ *alert.Mail, p *postbox) { p.plain = true }, "does not offer STARTTLS"},
		"stranger":  {func(m *alert.Mail, _ *postbox) { m.Roots = nil }, "certificate is not trusted"},
		"no server": {func(m *alert.Mail, _ *postbox) { m.Server = "" }, "has no mail server"},
		"not there": {func(m *alert.Mail, _ *postbox) { m.Server = closed(t) }, "could not be reached"},
		"no password": {func(m *alert.Mail, _ *postbox) {
			m.Password = func() (secret.Value, error) { return secret.Value{}, io.EOF }
		}, "password cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			l, p, channel := mailLab(t)
			c.breaks(&l.config.Mail, p)
			l.sender = alert.New(l.config)
			l.says("ward", document.StatusFail)
			l.turn()
			got, said := p.take()
			a := commandtest.Get[*document.Alert](l.World, channel.ID)
			if len(got) != 0 || a.State != document.AlertFailing || !strings.Contains(a.Error, c.words) || len(l.waiting()) != 1 {
				t.Errorf("%+v, %+v", got, a)
			}
			if p.plain && strings.Contains(strings.Join(said, "\n"), "AUTH") {
				t.Errorf("logged in in the clear: %q", said)
			}
		})
	}
}

// TestMailCheck: settings that would send a password in the clear, or nothing, are
// refused.
func TestMailCheck(t *testing.T) {
	for words, m := range map[string]alert.Mail{
		"not a host and port":          {Server: "mail.example.org", Security: alert.TLS},
		"for a server at 127.0.0.1":    {Server: "mail.example.org:25", Security: alert.NoTLS},
		"nobody logs in without TLS":   {Server: "127.0.0.1:25", Security: alert.NoTLS, User: "a", Password: password},
		"is neither":                   {Server: "mail.example.org:25", Security: "maybe"},
		"password_file belong togethe": {Server: "mail.example.org:25", Security: alert.TLS, User: "a"},
	} {
		if err := m.Check(); fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), words) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if err := (alert.Mail{}).Check(); err != nil {
		t.Error(err)
	}
}
