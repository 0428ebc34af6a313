package ledger

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// goldenHeader is entry 7 of the specification's good pack.
const goldenHeader = `{"body":"8544268aae0e977abe2b363ed38dece35ec8b7f9ae91a571e39941dc734f3e89","scope":"7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a","seq":7,"time":"2026-03-02T01:00:00.000000000Z","v":1}`

func TestHeaderBytes(t *testing.T) {
	scope := "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a"
	e := Entry{Seq: 7, Time: time.Date(2026, 3, 2, 2, 0, 0, 5, time.FixedZone("", 3600)), Scope: &scope, Body: []byte("{}")}
	sum := sha256.Sum256(append(append([]byte{2}, make([]byte, 16)...), "{}"...))
	want := `{"body":"` + hexOf(sum[:]) + `","scope":"` + scope + `","seq":7,"time":"2026-03-02T01:00:00.000000005Z","v":1}`
	if got := string(e.Header()); got != want {
		t.Errorf("header\n got %s\nwant %s", got, want)
	}
	e.Scope = nil
	if got := string(e.Header()); !strings.Contains(got, `"scope":null,`) {
		t.Errorf("header without scope: %s", got)
	}
	if LeafHash(e.Header()) != tlog.RecordHash(e.Header()) {
		t.Error("LeafHash is not RFC 6962's")
	}
}

func hexOf(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(lowerHex[c>>4])
		out.WriteByte(lowerHex[c&15])
	}
	return out.String()
}

func TestParseHeader(t *testing.T) {
	h, err := ParseHeader([]byte(goldenHeader))
	if err != nil {
		t.Fatal(err)
	}
	if h.Seq != 7 || *h.Scope != "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a" || !h.Time.Equal(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)) || h.Body[0] != 0x85 {
		t.Errorf("%+v", h)
	}
	replace := func(old, new string) string {
		out := strings.Replace(goldenHeader, old, new, 1)
		if out == goldenHeader {
			t.Fatalf("%q does not occur", old)
		}
		return out
	}
	for name, bad := range map[string]string{
		"empty":             "",
		"not JSON":          "hello",
		"cut":               goldenHeader[:len(goldenHeader)-1],
		"data after":        goldenHeader + " ",
		"newline":           goldenHeader + "\n",
		"space":             replace("{", "{ "),
		"other version":     replace(`"v":1`, `"v":2`),
		"upper-case hex":    replace("8aae", "8AAE"),
		"short hash":        replace("8544", "85"),
		"upper-case scope":  replace("7d3e5a10", "7D3E5A10"),
		"scope no UUID":     replace("7d3e5a10", "zd3e5a10"),
		"scope other form":  replace("7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a", "7d3e5a102b1c4a6e9c551f2e3d4c5b6a"),
		"scope empty":       replace(`"7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a"`, `""`),
		"seq leading zero":  replace(`:7,`, `:07,`),
		"seq plus":          replace(`:7,`, `:+7,`),
		"seq negative":      replace(`:7,`, `:-7,`),
		"seq minus zero":    replace(`:7,`, `:-0,`),
		"seq fraction":      replace(`:7,`, `:7.0,`),
		"seq too great":     replace(`:7,`, `:9007199254740992,`),
		"seq overflows":     replace(`:7,`, `:99999999999999999999,`),
		"seq missing":       replace(`:7,`, `:,`),
		"no such day":       replace("03-02", "02-30"),
		"hour 24":           replace("T01", "T24"),
		"leap second":       replace("01:00:00", "23:59:60"),
		"eight decimals":    replace("000000000Z", "00000000Z"),
		"offset":            replace("000000000Z", "000000000+00:00"),
		"lower-case t":      replace("T01", "t01"),
		"duplicate member":  replace(`"v":1`, `"v":1,"v":1`),
		"other order":       `{"scope":null,"body":"` + strings.Repeat("0", 64) + `","seq":7,"time":"2026-03-02T01:00:00.000000000Z","v":1}`,
		"longer than bound": replace(`:7,`, `:7,`+strings.Repeat(" ", MaxHeader)),
	} {
		if _, err := ParseHeader([]byte(bad)); err == nil {
			t.Errorf("%s: accepted %q", name, bad)
		}
	}
}

// TestHeaderEveryByte changes every byte of a header to every value: what is
// still a header is another one, and re-encodes to the same bytes.
func TestHeaderEveryByte(t *testing.T) {
	for i := range goldenHeader {
		for c := range 256 {
			b := []byte(goldenHeader)
			b[i] = byte(c)
			if h, err := ParseHeader(b); err == nil && !bytes.Equal(h.Append(nil), b) {
				t.Fatalf("accepted %q, which is written %q", b, h.Append(nil))
			}
		}
	}
}

func genTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		sec := rapid.Int64Range(-62135596800, 253402300799).Draw(t, "sec") // years 1 to 9999
		return time.Unix(sec, rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC()
	})
}

func genUUID() *rapid.Generator[string] {
	return rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Seq:  rapid.Int64Range(0, MaxInt).Draw(t, "seq"),
			Time: genTime().Draw(t, "time"),
			Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		copy(e.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
		if rapid.Bool().Draw(t, "scoped") {
			scope := genUUID().Draw(t, "scope")
			e.Scope = &scope
		}
		b := e.Header()
		if len(b) > MaxHeader {
			t.Fatalf("%d bytes", len(b))
		}
		h, err := ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.Seq != e.Seq || !h.Time.Equal(e.Time) || h.Body != BodyHash(e.Salt, e.Body) || (h.Scope == nil) != (e.Scope == nil) {
			t.Fatalf("%+v from %+v", h, e)
		}
		if err := CheckCanonical(b); err != nil {
			t.Fatalf("a header is canonical JSON too: %v", err)
		}
	})
}

func TestTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genTime().Draw(t, "a"), genTime().Draw(t, "b")
		if got, want := FormatTime(a), a.Format(timeLayout); got != want {
			t.Fatalf("%s, the standard library writes %s", got, want)
		}
		back, err := ParseTime(FormatTime(a))
		if err != nil || !back.Equal(a) {
			t.Fatalf("%v, %v", back, err)
		}
		if (FormatTime(a) < FormatTime(b)) != a.Before(b) {
			t.Fatal("strings do not sort as times")
		}
	})
}

func TestScopeNamesBounded(t *testing.T) {
	names := scopeNames{}
	id := []byte("00000000-0000-4000-8000-000000000000")
	for i := range 3 * maxScopeNames {
		copy(id[24:], hexOf([]byte{byte(i >> 16), byte(i >> 8), byte(i)}))
		if s := names.get(id); s == nil || *s != string(id) {
			t.Fatalf("%d: %v", i, s)
		}
	}
	if len(names) > maxScopeNames {
		t.Errorf("%d names kept", len(names))
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(goldenHeader))
	f.Add([]byte(`{"body":"` + strings.Repeat("0", 64) + `","scope":null,"seq":0,"time":"0001-01-01T00:00:00.000000000Z","v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err == nil && !bytes.Equal(h.Append(nil), b) {
			t.Fatalf("%q is written %q", b, h.Append(nil))
		}
	})
}
