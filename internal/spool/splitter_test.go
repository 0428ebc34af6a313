package spool

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// splitAll passes chunks through a splitter and ends the stream.
func splitAll(max int, chunks ...[]byte) []string {
	s := splitter{max: max}
	var lines []string
	emit := func(line []byte) { lines = append(lines, string(line)) }
	for _, chunk := range chunks {
		s.split(chunk, emit)
	}
	if len(s.rest) > 0 {
		s.split([]byte("\n"), emit)
	}
	return lines
}

func TestSplit(t *testing.T) {
	for name, test := range map[string]struct {
		chunks []string
		want   []string
	}{
		"lines":             {[]string{"a\nb\n"}, []string{"a", "b"}},
		"empty lines":       {[]string{"\n\na\n"}, []string{"", "", "a"}},
		"over chunks":       {[]string{"a", "b", "\nc", "\n"}, []string{"ab", "c"}},
		"unfinished":        {[]string{"a\nb"}, []string{"a", "b"}},
		"exactly the limit": {[]string{"12345678\n"}, []string{"12345678"}},
		"limit, then end":   {[]string{"12345678", "\n"}, []string{"12345678"}},
		"over the limit":    {[]string{"123456789\n"}, []string{"12345678", "9"}},
		"far over":          {[]string{"1234567812345678123\n"}, []string{"12345678", "12345678", "123"}},
		"between characters": {
			[]string{"1234567é\n", "123456€\n", "12345678é\n"},
			[]string{"1234567", "é", "123456", "€", "12345678", "é"},
		},
		"character over chunks": {[]string{"1234567\xc3", "\xa9\n"}, []string{"1234567", "é"}},
		"no characters":         {[]string{"\xa9\xa9\xa9\xa9\xa9\xa9\xa9\xa9\xa9\n"}, []string{"\xa9\xa9\xa9\xa9\xa9\xa9\xa9\xa9", "\xa9"}},
		"carriage return stays": {[]string{"a\r\n"}, []string{"a\r"}},
	} {
		t.Run(name, func(t *testing.T) {
			var chunks [][]byte
			for _, chunk := range test.chunks {
				chunks = append(chunks, []byte(chunk))
			}
			if diff := cmp.Diff(test.want, splitAll(8, chunks...)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"plain é €":            "plain é €",
		"\x1b[31mred\x1b[0m\t": "\x1b[31mred\x1b[0m\t",
		"a\x00b":               "ab",
		"bad \xff\xfe.":        "bad \ufffd\ufffd.",
		"cut \xe2\x82":         "cut \ufffd\ufffd",
	} {
		if got := string(clean([]byte(in))); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// What a stream's lines are does not depend on how its bytes arrive, nothing is
// lost, and no line is over the limit.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), 3, 8)
	f.Add([]byte("1234567é€\xff\x00\n"), 8, 8)
	f.Add(bytes.Repeat([]byte("é"), 40), 7, 9)
	f.Fuzz(func(t *testing.T, in []byte, at, max int) {
		if max < 4 || max > 100 || at < 0 || at > len(in) {
			return
		}
		whole := splitAll(max, in)
		if diff := cmp.Diff(whole, splitAll(max, in[:at], in[at:])); diff != "" {
			t.Errorf("in two chunks (-whole +chunks):\n%s", diff)
		}
		var bytewise [][]byte
		for i := range in {
			bytewise = append(bytewise, in[i:i+1])
		}
		if diff := cmp.Diff(whole, splitAll(max, bytewise...)); diff != "" {
			t.Errorf("byte by byte (-whole +bytes):\n%s", diff)
		}
		if got := strings.Join(whole, ""); got != strings.ReplaceAll(string(in), "\n", "") {
			t.Errorf("lines hold %q of %q", got, in)
		}
		for _, line := range whole {
			if len(line) > max {
				t.Errorf("line of %d bytes", len(line))
			}
			text := clean([]byte(line))
			if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
				t.Errorf("not clean: %q", text)
			}
		}
	})
}
