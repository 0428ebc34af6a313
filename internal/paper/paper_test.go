package paper

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// example has everything that a document can have.
func example(t testing.TB, text string, rows int) []byte {
	t.Helper()
	d := New("A pack", "signed, not proven", day)
	d.Heading(text)
	d.Text(text)
	d.Code(text)
	d.Facts([][2]string{{"Space", text}})
	var list [][]Cell
	for n := range rows {
		list = append(list, []Cell{{Text: fmt.Sprint(n)}, {Text: text, Tone: Bad}, {Text: "x", Tone: Good}})
	}
	d.Table([]Column{{"Seq", 0.1}, {"What", 0.7}, {"How", 0.2}}, list)
	var out bytes.Buffer
	if err := d.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSameBytes: the same content is the same document.
func TestSameBytes(t *testing.T) {
	if !bytes.Equal(example(t, "Zoë and 山田", 80), example(t, "Zoë and 山田", 80)) {
		t.Error("two documents of the same content differ")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Zoë, Łukasz, Мария, Ελένη": "plain, Zoë, Łukasz, Мария, Ελένη",
		"山田":               "[U+5C71][U+7530]",
		"🙂":                "[U+1F642]",
		"a\u202eb\u200bc":  "a[U+202E]b[U+200B]c",
		"bell \a \x1b[31m": "bell [U+0007] [U+001B][31m",
		"a\tb\nc":          "a b\nc",
		"\xff":             "[U+FFFD]",
	} {
		d := New("x", "", day)
		if got := d.printable(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
		if d.odd != strings.Contains(want, "[U+") {
			t.Errorf("%q: a note on characters: %v", in, d.odd)
		}
	}
}

// TestNothingRuns: text of strangers is text; there are no actions and no links.
func TestNothingRuns(t *testing.T) {
	b := example(t, `(x) Tj /JavaScript (app.alert(1)) \) endstream endobj << /OpenAction 1 0 R >> http://x`, 3)
	for _, word := range []string{"/OpenAction", "/JavaScript", "/URI", "/Launch", "/AA", "/Type /EmbeddedFile", "/SubmitForm"} {
		if bytes.Contains(b, []byte(word)) {
			t.Errorf("the document has %s", word)
		}
	}
}

// TestLongCells: a cell that is longer than a page goes on, and a longer one is
// cut and says so.
func TestLongCells(t *testing.T) {
	if b := example(t, strings.Repeat("word ", 10_000), 2); len(b) == 0 {
		t.Error("nothing")
	}
	if got := cut(strings.Repeat("é", maxCell+1)); !strings.HasSuffix(got, "it has 1201 characters]") {
		t.Errorf("cut to %q", got[len(got)-60:])
	}
	if got := cut(strings.Repeat("é", maxCell)); len(got) != 2*maxCell {
		t.Error("cut without need")
	}
}

// FuzzText: whatever people write, there is a document.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "\\", ")(", strings.Repeat("x", 500), "\n\n", "\u0301", "{pages}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 2000 {
			example(t, s, 2)
		}
	})
}
