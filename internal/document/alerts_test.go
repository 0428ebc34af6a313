package document_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestCleanWebhook(t *testing.T) {
	for _, good := range []string{
		"https://alerts.example.org/strongroom", "https://alerts.example.org:8443", "https://192.0.2.1/x", "https://alerts.example.org/?token=x", "https://[2001:db8::1]:8443/x",
		"http://127.0.0.1:9000/x", "http://[::1]:9000/",
	} {
		if got, err := document.CleanWebhook(" " + good + "\n"); got != good || err != nil {
			t.Errorf("%s: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{
		"", "alerts.example.org", "http://alerts.example.org/", "http://localhost/", "file:///etc/passwd", "gopher://alerts.example.org/", "https:alerts.example.org",
		"https://user:password@alerts.example.org/", "https://alerts.example.org/#x", "https://alerts.example.org/?token=x#y",
		"https://al erts.example.org/", "https://alerts.example.org/\r\nX: y", "https://alërts.example.org/", "https://-/", "https://:443/",
		"https://alerts.example.org/" + strings.Repeat("x", 500), "https://alerts.example.org:port/",
	} {
		if got, err := document.CleanWebhook(bad); fault.Of(err) != fault.Invalid {
			t.Errorf("%q is taken: %q, %v", bad, got, err)
		}
	}
}

func FuzzCleanWebhook(f *testing.F) {
	for _, s := range []string{"https://alerts.example.org/strongroom", "http://127.0.0.1/", "https://a:b@c/?d#e", "https://[::1]/", "HTTPS://A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := document.CleanWebhook(s)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.User != nil || u.Fragment != "" || u.Host == "" || strings.ContainsAny(got, "\r\n \x00") {
			t.Errorf("%q is taken: %v", got, err)
		}
		if shown, fingerprint := document.ShowWebhook(got); shown != u.Scheme+"://"+u.Host+"/…" || len(fingerprint) != 8 {
			t.Errorf("%q is shown as %q, %q", got, shown, fingerprint)
		}
		if u.Scheme == "http" && !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "::1" && !strings.Contains(u.Hostname(), ":") {
			t.Errorf("%q is sent in the clear", got)
		}
	})
}
