package ledger

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	var j JSON
	if err := j.ReadObject([]byte(`{"\"":{"x":1,"y":[]},"a":[1,[2,{"z":"q\n"}],"s"],"b":null}`)); err != nil {
		t.Fatal(err)
	}
	v := j.Value()
	for want, got := range map[string]Value{
		`{"x":1,"y":[]}`:  v.Member(`"`),
		`1`:               v.Member(`"`).Member("x"),
		`[]`:              v.Member(`"`).Member("y"),
		`[2,{"z":"q\n"}]`: v.Member("a").Element(1),
		`"q\n"`:           v.Member("a").Element(1).Element(1).Member("z"),
		`"s"`:             v.Member("a").Element(2),
		`null`:            v.Member("b"),
	} {
		if string(got.Text()) != want {
			t.Errorf("got %s, want %s", got.Text(), want)
		}
	}
	for name, absent := range map[string]Value{
		"member":             v.Member("x"),
		"member of an array": v.Member("a").Member("x"),
		"element":            v.Member("a").Element(3),
		"element of nothing": v.Member(`"`).Member("y").Element(0),
		"before the first":   v.Member("a").Element(-1),
		"of an object":       v.Element(0),
		"of what is absent":  v.Member("x").Member("x").Element(0),
	} {
		if absent.Exists() || absent.Text() != nil {
			t.Errorf("%s: %s", name, absent.Text())
		}
	}
	if s := v.Member("a").Element(1).Element(1).Member("z").String(); s != "q\n" {
		t.Errorf("characters %q", s)
	}
	if _, ok := v.Member("a").Characters(); ok {
		t.Error("an array has characters")
	}
	if n, ok := v.Member("a").Element(0).Int(); n != 1 || !ok {
		t.Errorf("number %d, %v", n, ok)
	}
	if !v.Member("b").IsNull() || v.IsNull() || v.Member("x").IsNull() {
		t.Error("null")
	}
	if at := v.Member("b").At(); string(v.Text()[at:at+4]) != "null" {
		t.Errorf("null at %d", at)
	}
}

func TestJSONRefuses(t *testing.T) {
	var j JSON
	for _, bad := range []string{"", "[]", "1", `{"b":1,"a":1}`, `{} `, `{"a":[1,2}`} {
		if err := j.ReadObject([]byte(bad)); err == nil {
			t.Errorf("%q is an object", bad)
		}
	}
	if err := j.Read([]byte(`[1 ]`)); err == nil || j.Value().Exists() {
		t.Errorf("%v; what is refused has the value %s", err, j.Value().Text())
	}
}

// TestJSONForgets: a text of nothing but parts is not paid for by those after it.
func TestJSONForgets(t *testing.T) {
	var j JSON
	for _, text := range []string{"[" + strings.Repeat("1,", 100_000) + "1]", `{"a":1}`} {
		if err := j.Read([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if cap(j.nodes) > keepNodes {
		t.Errorf("%d nodes are kept", cap(j.nodes))
	}
}

func TestJSONAllocatesNothing(t *testing.T) {
	var j JSON
	b := testEntry(t, 1).Body
	if n := testing.AllocsPerRun(100, func() {
		_ = j.Read(b)
		_ = j.Value().Member("actor").Member("email").Text()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// sameJSON states what a Value is: the same as encoding/json makes of the text.
func sameJSON(t *testing.T, v Value) {
	t.Helper()
	var want any
	if err := json.Unmarshal(v.Text(), &want); err != nil {
		t.Fatalf("%q: %v", v.Text(), err)
	}
	switch want := want.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(want))
		for part := range v.Parts() {
			if len(names) == 0 || !part.node().named(v.in.b, names[0]) || !bytes.Equal(v.Member(names[0]).Text(), part.Text()) {
				t.Fatalf("%q: member %q", v.Text(), part.Text())
			}
			names = names[1:]
			sameJSON(t, part)
		}
		if len(names) > 0 {
			t.Fatalf("%q: without %q", v.Text(), names)
		}
	case []any:
		n := 0
		for part := range v.Parts() {
			if !bytes.Equal(v.Element(n).Text(), part.Text()) {
				t.Fatalf("%q: element %d", v.Text(), n)
			}
			n++
			sameJSON(t, part)
		}
		if n != len(want) {
			t.Fatalf("%q: %d elements", v.Text(), n)
		}
	case string:
		if v.String() != want {
			t.Fatalf("%q is %q", v.Text(), v.String())
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(goldenBody))
	f.Add([]byte(`{"\"":[{"a\\":"x\n\u0001é"},[],{},-1],"b":null,"c":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var j JSON
		if err, want := j.Read(b), CheckCanonical(b); (err == nil) != (want == nil) {
			t.Fatalf("%q: %v, but checking says %v", b, err, want)
		} else if err == nil {
			sameJSON(t, j.Value())
		}
	})
}
