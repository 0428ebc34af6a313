package ledger

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestCanonicalize(t *testing.T) {
	deep := func(n int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
	}
	tests := []struct {
		name string
		in   any
		want string // "" means refused
	}{
		{"literals", []any{nil, true, false}, `[null,true,false]`},
		{"order and space", json.RawMessage(` { "b" : 1 , "a" : [ 1 , { "d":2,"c":3 } ] } `), `{"a":[1,{"c":3,"d":2}],"b":1}`},
		{"order of ASCII", json.RawMessage(`{"a":1,"A":2,"_":3,"~":4," ":5,"aa":6,"":7}`), `{"":7," ":5,"A":2,"_":3,"a":1,"aa":6,"~":4}`},
		{"names that need escapes", json.RawMessage(`{"\\":1,"\"":2,"]":3}`), `{"\"":2,"\\":1,"]":3}`},
		{"struct", struct {
			B string `json:"b"`
			A int    `json:"a"`
		}{"x", 1}, `{"a":1,"b":"x"}`},
		{"HTML", `<script>&"\/`, `"<script>&\"\\/"`},
		{"line separators", "\u2028\u2029", "\"\u2028\u2029\""},
		{"RFC 8785, 3.2.2.2", json.RawMessage(`"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"`), `"€$\u000f\nA'B\"\\\\\"/"`},
		{"controls", "\x00\x08\x09\x0a\x0b\x0c\x0d\x1f\x7f", "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\""},
		{"not normalised", "u\u0308", "\"u\u0308\""},
		{"surrogate pair", json.RawMessage(`"\ud83d\udd12"`), `"🔒"`},
		{"lone high surrogate", json.RawMessage(`"a\ud83dz"`), "\"a\ufffdz\""},
		{"lone low surrogate", json.RawMessage(`"\udd12"`), "\"\ufffd\""},
		{"two high surrogates", json.RawMessage(`"\ud83d\ud83d\udd12"`), "\"\ufffd🔒\""},
		{"high surrogate, other escape", json.RawMessage(`"\ud83d\n"`), "\"\ufffd\\n\""},
		{"invalid UTF-8 in a string", "a\xff\xfeb", "\"a\ufffd\ufffdb\""},
		{"invalid UTF-8 in raw JSON", json.RawMessage("\"a\xff\xfeb\""), "\"a\ufffd\ufffdb\""},
		{"encoded surrogate", json.RawMessage("\"\xed\xa0\x80\""), "\"\ufffd\ufffd\ufffd\""},
		{"greatest", int64(MaxInt), "9007199254740991"},
		{"least", int64(-MaxInt), "-9007199254740991"},
		{"deepest", deep(MaxDepth), strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)},

		{"too great", int64(MaxInt + 1), ""},
		{"too small", int64(-MaxInt - 1), ""},
		{"far too great", json.RawMessage("123456789012345678901234567890"), ""},
		{"float", 1.5, ""},
		{"float form", json.RawMessage("1.0"), ""},
		{"exponent", json.RawMessage("1e3"), ""},
		{"minus zero", json.RawMessage("-0"), ""},
		{"too deep", deep(MaxDepth + 1), ""},
		{"duplicate", json.RawMessage(`{"a":1,"b":2,"a":1}`), ""},
		{"duplicate, other spelling", json.RawMessage(`{"a":1,"\u0061":1}`), ""},
		{"name beyond ASCII", map[string]int{"ü": 1}, ""},
		{"name with a control", map[string]int{"a\n": 1}, ""},
		{"name with DEL", map[string]int{"\x7f": 1}, ""},
		{"channel", make(chan int), ""},
	}
	for _, tt := range tests {
		got, err := Canonicalize(tt.in)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: accepted as %s", tt.name, got)
		case tt.want != "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != string(got):
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if err == nil {
			if err := CheckCanonical(got); err != nil {
				t.Errorf("%s: written but not accepted: %v", tt.name, err)
			}
		}
	}
}

// agree states what CheckCanonical means: b is what Canonicalize makes of it.
func agree(t interface{ Fatalf(string, ...any) }, b []byte) {
	checked := CheckCanonical(b)
	written, err := Canonicalize(json.RawMessage(b))
	canonical := err == nil && len(b) > 0 && bytes.Equal(written, b)
	if (checked == nil) != canonical {
		t.Fatalf("%q: check says %v, canonical form is %q, %v", b, checked, written, err)
	}
}

func TestCheckCanonical(t *testing.T) {
	for _, s := range []string{
		"", " ", "{", "[", "]", "}", `"`, `"\`, `"\u`, `"\u00`, "{}", "[]", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 ]`, "1 ", "01", "-", "--1", "+1", "1-",
		"tru", "true", "truex", "nul", "null", "nullnull", `"a""b"`, `{"a":1}{"b":1}`, `{"b":1,"a":1}`, `{"a":1,"a":1}`, `{"a":1,"A":1}`, `{"":1,"a":1}`, `{"a":1,"":1}`,
		`"\/"`, `"\u0008"`, `"\u000a"`, `"\u001F"`, `"\u001f"`, `"\u0020"`, `"\u0061"`, `"\ud83d\udd12"`, `"🔒"`, "\"\u2028\"", "\"\x7f\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"",
		"\"12345678\x1f\"", "\"1234567\n\"", "\"1234567890123456789012345678901\x00\"", `{"\\":1,"\"":2}`, `{"\"":2,"\\":1}`, `{"\u0061":1}`, `{"\n":1}`, "{\"\x7f\":1}", "{\"a\x00\":1}", `{"ü":1}`, `{"aü":1}`,
		`{"a":1,"b":{"c":[{"d":null}]}}`, "9007199254740991", "9007199254740992", "-9007199254740991", "-9007199254740992", "-0", "0", "0.0", "1e1", "\ufeff{}",
	} {
		agree(t, []byte(s))
	}
}

// genJSON makes JSON of any form, canonical or not.
func genJSON(depth int) *rapid.Generator[string] {
	leaf := rapid.OneOf(
		rapid.SampledFrom([]string{"null", "true", "false", "0", "-1", "1.5", "9007199254740991", "9007199254740992", `"\u0041"`, `"\n"`, `"\u0001"`}),
		rapid.Map(rapid.String(), func(s string) string { b, _ := json.Marshal(s); return string(b) }),
		rapid.Map(rapid.Int64Range(-MaxInt-1, MaxInt+1), func(n int64) string { b, _ := json.Marshal(n); return string(b) }),
	)
	if depth == 0 {
		return leaf
	}
	inner := genJSON(depth - 1)
	list := rapid.SliceOfN(inner, 0, 4)
	return rapid.OneOf(leaf,
		rapid.Map(list, func(l []string) string { return "[" + strings.Join(l, ",") + "]" }),
		rapid.Custom(func(t *rapid.T) string {
			names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "ab", "", `\"`, `\\`, "ü", " "}), 0, 4).Draw(t, "names")
			var members []string
			for _, name := range names {
				members = append(members, `"`+name+`":`+inner.Draw(t, "value"))
			}
			return "{" + strings.Join(members, ",") + "}"
		}))
}

func TestCanonicalAgreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genJSON(3).Draw(t, "json")
		agree(t, []byte(s))
		// Canonicalizing keeps the value, and is idempotent.
		out, err := Canonicalize(json.RawMessage(s))
		if err != nil {
			return
		}
		var a, b any
		if json.Unmarshal([]byte(s), &a) != nil || json.Unmarshal(out, &b) != nil {
			t.Fatalf("%q became %q", s, out)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q", s, out)
		}
		agree(t, out)
	})
}

func TestCheckCanonicalAllocatesNothing(t *testing.T) {
	b := testEntry(t, 1).Body
	if n := testing.AllocsPerRun(100, func() { _ = CheckCanonical(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckJSON(t *testing.T) {
	for in, ok := range map[string]bool{
		`{"a":1.5e3,"b":[{"a":1},{"a":2}],"ü":"\u0000"}`: true,
		` [ ] `:                     true,
		`null`:                      true,
		``:                          false,
		`{`:                         false,
		`[1`:                        false,
		`[1 2]`:                     false,
		`{"a" 1}`:                   false,
		`{"a":1}}`:                  false,
		`{} {}`:                     false,
		`{"a":1,"a":1}`:             false,
		`{"a":1,"\u0061":1}`:        false,
		`[[{"x":{"a":1,"a":2}}]]`:   false,
		"[\"\xff\"]":                false,
		"[\"\xf0\x9f\x94\"]":        false,
		"[\"\xed\xa0\x80\"]":        false,
		"[1]\xe2":                   false,
		`["🔒ü"]`:                    true,
		strings.Repeat("[", 100000): false,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth):     true,
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1): false,
	} {
		if err := CheckJSON(strings.NewReader(in)); (err == nil) != ok {
			t.Errorf("%.40s: %v", in, err)
		}
		// Characters may arrive in pieces.
		if err := CheckJSON(iotest.OneByteReader(strings.NewReader(in))); (err == nil) != ok {
			t.Errorf("%.40s, byte by byte: %v", in, err)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"x\n\u0001é"}],"c":null}`))
	f.Add([]byte(`{"b":"\ud83d","a":-0}`))
	f.Add([]byte("\"\xed\xa0\x80\""))
	f.Fuzz(func(t *testing.T, b []byte) {
		agree(t, b)
		if CheckCanonical(b) == nil && CheckJSON(bytes.NewReader(b)) != nil {
			t.Fatalf("%q is canonical but not JSON without duplicates", b)
		}
	})
}
