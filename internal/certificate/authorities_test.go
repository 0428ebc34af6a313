package certificate

import (
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestParseAuthorities(t *testing.T) {
	a, b := issue(t, "partners", nil, nil, nil), issue(t, "laboratories", nil, nil, nil)
	between := issue(t, "clinics", a, nil, nil)
	list, err := ParseAuthorities("# ours\n"+chain(a, between, b, a), now)
	if err != nil || len(list) != 3 || list[0].Subject.CommonName != "partners" {
		t.Errorf("%d authorities, %v", len(list), err)
	}
	many := make([]*made, maxAuthorities+1)
	for i := range many {
		many[i] = a
	}
	over := issue(t, "partners", nil, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, nil)
	useless := issue(t, "partners", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, nil)
	for name, c := range map[string]struct{ text, tells string }{
		"nothing": {"", "no certificate"}, "a server": {chain(issue(t, "www.example.org", a, nil, nil)), "not an authority's"},
		"a key": {chain(a) + string(a.private(t).Reveal()), "a private key among the authorities"}, "expired": {chain(a, over), "expired"},
		"one that signs nothing": {chain(useless), "not an authority's"}, "many": {chain(many...), "more than 20"},
		"weak": {chain(issue(t, "partners", nil, nil, ec(t, elliptic.P224()))), "P-224"},
	} {
		if _, err := ParseAuthorities(c.text, now); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %v, want it to tell %q", name, err, c.tells)
		}
	}
	if _, err := ParseAuthorities(strings.Repeat("x", maxBundle+1), now); fault.Of(err) != fault.TooLarge {
		t.Errorf("too large a bundle: %v", err)
	}
}

func FuzzParseAuthorities(f *testing.F) {
	a := issue(f, "partners", nil, nil, nil)
	f.Add(chain(a, a))
	f.Add(chain(issue(f, "www.example.org", a, nil, nil)))
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseAuthorities(text, now)
		if err == nil && (len(list) == 0 || len(list) > maxAuthorities) {
			t.Errorf("%d authorities", len(list))
		}
		if err == nil {
			if again, err := ParseAuthorities(Encode(list), now); err != nil || len(again) != len(list) {
				t.Errorf("%d became %d: %v", len(list), len(again), err)
			}
		}
	})
}
