package recording

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// FuzzReader: whatever is read as a recording gives events or an error, and all
// that is made of it ends.
func FuzzReader(f *testing.F) {
	f.Add([]byte(head + `[1.0,"o","a"]` + "\n" + `[2,"i","\ufffd"]` + "\n" + `[2,"ib","/w=="]` + "\n"))
	f.Add([]byte(head + `[1.0,"ob","!!"]`))
	f.Add([]byte(head + `[1e99,"o",""]`))
	f.Add([]byte(head + `[1,"o"]`))
	f.Add([]byte(head + `[null,null,null]`))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(head + `[1,"o","\u001b]0;` + strings.Repeat("x", 300) + `"]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var played, typed bytes.Buffer
		playErr := Play(t.Context(), bytes.NewReader(b), &played, 0, 0)
		typedErr := Typed(bytes.NewReader(b), &typed)
		if (playErr == nil) != (typedErr == nil) {
			t.Fatalf("play: %v; typed: %v", playErr, typedErr)
		}
		for _, c := range typed.Bytes() {
			if c < 0x20 && c != '\n' || c == 0x7f {
				t.Fatalf("a control character in the text: %q", typed.String())
			}
		}
	})
}

// answers matches what must not reach a terminal, in the way a terminal in
// UTF-8 mode reads it.
var answers = regexp.MustCompile(`\x1b[\]P_^XZ% ]|\x1b\[[0-?]*[ -/]*[ntci]|\x05|\xc2[\x80-\x9f]`)

// FuzzDisplay: no sequence that makes a terminal answer or takes a string gets
// through, however it is split, and splitting changes nothing.
func FuzzDisplay(f *testing.F) {
	for _, s := range []string{"a\x1b]52;c;x\x07b", "\x1b[6n", "\x1b\x1b]x", "\x1b[\x1b[c", "\x1bP\x1b\x1b\\", "\xc2\x1b]\x9d", "\xc2\xc2\x9d", "\x1b(\x1b]0;x\x07", "\x1b[\xc2\x9b6n"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		var whole, split bytes.Buffer
		NewDisplay(&whole).Write(b)
		d := NewDisplay(&split)
		at = min(max(at, 0), len(b))
		d.Write(b[:at])
		d.Write(b[at:])
		if !bytes.Equal(whole.Bytes(), split.Bytes()) {
			t.Fatalf("%q, split %q", whole.Bytes(), split.Bytes())
		}
		if m := answers.Find(whole.Bytes()); m != nil {
			t.Fatalf("%q got through in %q", m, whole.Bytes())
		}
	})
}

// FuzzWorkingFile: a damaged file of a session gives a beginning of what was
// recorded or an error, never anything else.
func FuzzWorkingFile(f *testing.F) {
	l := newLab(f, 1<<20)
	rec := l.open(f, sessionA)
	for _, s := range []string{"one", "two", "three"} {
		do(f, rec.Input([]byte(s)))
	}
	abandon(rec)
	file, err := os.ReadFile(l.path(sessionA))
	do(f, err)
	offsets := chunkOffsets(file)
	file = file[:offsets[len(offsets)-1]]
	whole := decrypt(f, l, sessionA)
	f.Add(len(file), 0, byte(0), []byte(nil))
	f.Add(len(file)-10, 0, byte(0), []byte(nil))
	f.Add(len(file), offsets[1], byte(1), []byte("x"))
	f.Add(offsets[2], 0, byte(0), file[offsets[1]:offsets[2]])
	f.Add(len(file), 13, byte(0xff), []byte(nil))
	f.Fuzz(func(t *testing.T, cut, at int, flip byte, tail []byte) {
		b := bytes.Clone(file[:min(max(cut, 0), len(file))])
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		b = append(b, tail...)
		text, err := transcribe(t, l, b)
		if err != nil {
			return
		}
		text = text[:strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1] // the end marker
		if !strings.HasPrefix(whole, text) {
			t.Fatalf("read %q", text)
		}
	})
}

func transcribe(t *testing.T, l lab, b []byte) (string, error) {
	src := bytes.NewReader(b)
	p, start, err := readPreamble(src)
	if err != nil {
		return "", err
	}
	key, err := l.wrapKey(t.Context(), p.Scope)
	if err != nil {
		return "", err
	}
	aead, header, err := openHeader(src, key, start)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(newTranscript(src, aead, header))
	return string(text), err
}
