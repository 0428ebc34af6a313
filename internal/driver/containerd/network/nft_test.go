package network

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func listingOf(t *testing.T, text string) listing {
	t.Helper()
	l, err := parseListing([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestParseListing uses what nft said of a space's table.
func TestParseListing(t *testing.T) {
	b, err := os.ReadFile("testdata/listing.json")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	l := listingOf(t, text)
	if want := []string{"i2 . 100.64.0.2", "i3 . 100.64.0.3"}; !slices.Equal(l.sources, want) {
		t.Errorf("sources %v, want %v", l.sources, want)
	}
	if got := l.counters["denied"]; got != (counter{Packets: 4, Bytes: 240}) {
		t.Errorf("denied %+v", got)
	}

	if len(l.open) != 1 || l.open[0].in != "named_tcp_443_443" || l.open[0].to != addrs("192.0.2.9")[0] || l.open[0].mark != 16909060 {
		t.Errorf("open %+v", l.open)
	}
	if strings.Contains(strings.Join(l.objects, ""), "192.0.2.9") {
		t.Error("what a name led to is part of the digest")
	}
	tried := Refusal{From: addrs("100.64.0.2")[0], To: addrs("192.0.2.1")[0], Protocol: "tcp", Port: 443, Packets: 7, bytes: 420, expires: 3540}
	if len(l.refused) != 1 || l.refused[0] != tried {
		t.Errorf("refused %+v", l.refused)
	}

	replace := func(old, with string) listing {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("the listing has no %s", old)
		}
		return listingOf(t, strings.Replace(text, old, with, 1))
	}
	same := map[string]listing{
		"a counter counted":  replace(`"packets": 4`, `"packets": 5`),
		"another handle":     replace(`"handle": 1`, `"handle": 1000`),
		"another tool":       replace(`"version": "1.0.6"`, `"version": "1.1.3"`),
		"an endpoint":        replace(`{"concat": ["i2", "100.64.0.2"]}, `, ``),
		"elements turned":    replace(`["100.64.0.4", "100.64.0.5"]`, `["100.64.0.5", "100.64.0.4"]`),
		"a refused attempt":  replace(`"192.0.2.1", "tcp", 443`, `"192.0.2.9", "udp", 53`),
		"set of sources, up": replace(`"i3", "100.64.0.3"`, `"i9", "100.64.0.9"`),
	}
	for what, got := range same {
		if got.digest != l.digest {
			t.Errorf("%s: the digest changed", what)
		}
	}
	other := map[string]listing{
		"a policy":          replace(`"policy": "drop"`, `"policy": "accept"`),
		"a private address": replace(`["100.64.0.4", "100.64.0.5"]`, `["100.64.0.4"]`),
		"a verdict":         replace(`{"accept": null}`, `{"drop": null}`),
		"a port":            replace(`"right": 53`, `"right": 54`),
	}
	for what, got := range other {
		if got.digest == l.digest {
			t.Errorf("%s: the digest is the same", what)
		}
	}
}

func FuzzParseListing(f *testing.F) {
	b, err := os.ReadFile("testdata/listing.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"nftables": [{"set": {"name": "sources", "elem": [1, {"concat": 5}]}}]}`))
	f.Add([]byte(`{"nftables": [{"counter": {"name": 5, "packets": "x"}}, null, {"rule": null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseListing(b)
		if err != nil {
			return
		}
		again, err := parseListing(b)
		if err != nil || again.digest != l.digest || l.digest == "" {
			t.Errorf("digests %q and %q, %v", l.digest, again.digest, err)
		}
	})
}
