package document

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"abc": true, "clinic-2": true, "a1b": true, strings.Repeat("a", 30): true,
		"": false, "ab": false, strings.Repeat("a", 31): false, "1ab": false, "-ab": false, "ab-": false, "aBc": false,
		"a_b": false, "a.b": false, "a b": false, "abc\n": false, "äbc": false, "abc\x00": false, "../etc": false,
	} {
		if err := CheckName("app", name); (err == nil) != ok || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckConfigName(t *testing.T) {
	for name, ok := range map[string]bool{
		"A": true, "_x": true, "DATABASE_URL": true, "path2": true, strings.Repeat("A", 256): true,
		"": false, strings.Repeat("A", 257): false, "1A": false, "A-B": false, "A=B": false, "A B": false, "Ä": false, "A\n": false, "A\x00": false,
	} {
		if err := CheckConfigName(name); (err == nil) != ok || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckProcessType(t *testing.T) {
	for name, ok := range map[string]bool{
		"web": true, "Worker_1": true, "a-b": true, "release": true, strings.Repeat("w", 63): true,
		"": false, "_": false, "-web": false, strings.Repeat("w", 64): false, "web.1": false, "we b": false, "w/b": false, "web\n": false,
	} {
		if err := CheckProcessType(name); (err == nil) != ok || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCleanEmail(t *testing.T) {
	for in, want := range map[string]string{
		"nurse@example.org": "nurse@example.org", " Nurse.Joy@Example.ORG ": "nurse.joy@example.org",
		"a+b@example.org": "a+b@example.org", "root@localhost": "root@localhost", "o_1-x@a-b.example": "o_1-x@a-b.example",
		"":                                 "",
		"nurse":                            "",
		"@example.org":                     "",
		"nurse@":                           "",
		"a b@x.org":                        "",
		"a@b@c.org":                        "",
		"a@b..org":                         "",
		"a@-b.org":                         "",
		"a@b.org.":                         "",
		"a@.":                              "",
		"a@b_c.org":                        "",
		"<a@b.org>":                        "",
		`"a"@b.org`:                        "",
		"a,b@c.org":                        "",
		"a@b.org\n":                        "a@b.org",
		"a\x1b[2J@b.org":                   "", // a terminal would obey it
		"a\x00@b.org":                      "",
		"a\u202eb@c.org":                   "", // shown backwards
		"ａ@b.org":                          "",
		"\u212a@b.org":                     "", // the Kelvin sign, whose lower case is k
		strings.Repeat("a", 65) + "@b.org": "",
		"a@" + strings.Repeat(strings.Repeat("b", 60)+".", 4) + "org":  "",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 63) + ".c": strings.Repeat("a", 64) + "@" + strings.Repeat("b", 63) + ".c",
	} {
		got, err := CleanEmail(in)
		if got != want || (err == nil) != (want != "") || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestCleanHostname(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.org": "www.example.org", "WWW.Example.ORG.": "www.example.org", " a.b ": "a.b",
		"*.example.org": "*.example.org", "xn--bcher-kva.example": "xn--bcher-kva.example", "1.2.3.example": "1.2.3.example",
		strings.Repeat("a", 63) + ".org": strings.Repeat("a", 63) + ".org",
		"":                               "",
		"localhost":                      "",
		".":                              "",
		"..":                             "",
		"a..b":                           "",
		".a.b":                           "",
		"a.b..":                          "",
		"*.org":                          "",
		"*":                              "",
		"*.*.example.org":                "",
		"a.*.example.org":                "",
		"a*.example.org":                 "",
		"-a.example.org":                 "",
		"a-.example.org":                 "",
		"a_b.example.org":                "",
		"exa mple.org":                   "",
		"a.b/c":                          "",
		"a.b:443":                        "",
		"10.0.0.1":                       "",
		"*.0.0.1":                        "",
		"a.1":                            "",
		"::1":                            "",
		"bücher.example":                 "",
		"\u212a.example.org":             "",
		"a.b\x00":                        "",
		strings.Repeat("a", 64) + ".org": "",
		strings.Repeat("a.", 127) + "a":  "",
	} {
		got, err := CleanHostname(in)
		if got != want || (err == nil) != (want != "") || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestCleanSource(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.0/24": "203.0.113.0/24", " 203.0.113.7 ": "203.0.113.7/32", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"::ffff:203.0.113.0/120": "203.0.113.0/24", "2001:db8::/32": "2001:db8::/32", "100.0.0.0/8": "100.0.0.0/8", "127.0.0.0/8": "127.0.0.0/8",
	} {
		if got, err := CleanSource(in); got != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	for in, tells := range map[string]string{
		"203.0.113.7/8": "write 203.0.0.0/8 for the network, or 203.0.113.7/32", "2001:db8::1/32": "2001:db8::1/128", "1.2.3.4/0": "0.0.0.0/0",
		"::ffff:203.0.113.7/120": "203.0.113.7/32", "100.127.0.0/20": "lies in 100.64.0.0/10", "169.254.169.254": "lies in 169.254.0.0/16",
		"255.255.255.255": "240.0.0.0/4", "fe80::1": "fe80::/10", "0.0.0.0": "0.0.0.0/8", "words": "CIDR",
	} {
		if _, err := CleanSource(in); err == nil || !strings.Contains(err.Error(), tells) {
			t.Errorf("%q: %v, want it to tell %q", in, err, tells)
		}
	}
}

func TestCleanCIDR(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.0/24": "203.0.113.0/24", "203.0.113.77/24": "203.0.113.0/24", "203.0.113.7": "203.0.113.7/32", " 10.0.0.0/8 ": "10.0.0.0/8",
		"0.0.0.0/0": "0.0.0.0/0", "1.2.3.4/0": "0.0.0.0/0", "::/0": "::/0", "2001:DB8::1/32": "2001:db8::/32", "2001:db8::1": "2001:db8::1/128",
		"::ffff:203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7/120": "203.0.113.0/24", "::ffff:0:0/96": "0.0.0.0/0",
		"": "", "x": "", "203.0.113.0/33": "", "203.0.113/24": "", "203.0.113.0/-1": "", "203.0.113.0/024": "", "fe80::1%eth0": "", "fe80::1%eth0/64": "",
		"203.0.113.0/24 ; drop": "", "010.0.0.0/8": "",
	} {
		got, err := CleanCIDR(in)
		if got != want || (err == nil) != (want != "") || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestSizeByName(t *testing.T) {
	for in, want := range map[string]string{"": "Private-S", "private-m": "Private-M", "SHIELD-L": "Shield-L", "Shield-S": "Shield-S"} {
		if got, err := SizeByName(in); err != nil || got.Name != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"basic", "Private-XL", " private-s"} {
		if _, err := SizeByName(in); fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v, want invalid", in, err)
		}
	}
	for _, s := range Sizes {
		if s.MemoryBytes < 1<<30 || s.CPUMillis < 1000 || s.PIDs < 256 {
			t.Errorf("%+v", s)
		}
	}
}

func TestIDs(t *testing.T) {
	a, b := NewID(), NewID()
	if a >= b || a[14] != '7' {
		t.Errorf("%s and %s do not sort by when they were made", a, b)
	}
	if s := NewScope(); s[14] != '4' {
		t.Errorf("the scope id %s tells when it was made", s)
	}
}

// FuzzRules holds what is clean to what the rest of the platform takes for
// granted of it, and cleaning to be done once.
func FuzzRules(f *testing.F) {
	for _, s := range []string{
		"nurse@example.org", "www.example.org.", "*.example.org", "203.0.113.7/24", "::ffff:203.0.113.7/120", "clinic", "DATABASE_URL", "web",
		"\u212a@x.org", "a\x1b@b.org", "fe80::1%eth0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for name, clean := range map[string]func(string) (string, error){"email": CleanEmail, "hostname": CleanHostname, "CIDR": CleanCIDR} {
			got, err := clean(in)
			if err != nil {
				if fault.Of(err) != fault.Invalid || !utf8.ValidString(in) && len(err.Error()) == 0 {
					t.Errorf("%s %q: %v", name, in, err)
				}
				continue
			}
			if again, err := clean(got); err != nil || again != got {
				t.Errorf("%s %q is clean as %q, and that as %q, %v", name, in, got, again, err)
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'<>\;`, r) }) {
				t.Errorf("%s %q is not plain: %q", name, in, got)
			}
			if name == "CIDR" {
				if p, err := netip.ParsePrefix(got); err != nil || p != p.Masked() || p.Addr().Is4In6() {
					t.Errorf("%q: %v, %v", in, p, err)
				}
			}
		}
		if CheckName("app", in) == nil && (len(in) > 30 || strings.Trim(in, "abcdefghijklmnopqrstuvwxyz0123456789-") != "") {
			t.Errorf("the name %q", in)
		}
		if CheckConfigName(in) == nil && strings.ContainsAny(in, "= \n\x00") {
			t.Errorf("the config var %q", in)
		}
	})
}
