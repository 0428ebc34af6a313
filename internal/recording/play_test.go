package recording

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const head = `{"version":2,"width":80,"height":24}` + "\n"

func TestPlay(t *testing.T) {
	cast := head + `[1.0,"o","a"]
[2.0,"i","typed"]
[61.0,"o","b"]
[61.5,"r","80x30"]
[62.0,"m","end {}"]
[62.5,"o","c\ufffd"]
[62.5,"ob","Y/8="]
`
	tests := []struct {
		name    string
		speed   float64
		maxIdle time.Duration
		took    time.Duration
	}{
		{"as it was", 1, 0, 62500 * time.Millisecond},
		{"twice as fast", 2, 0, 31250 * time.Millisecond},
		{"pauses cut", 1, 2 * time.Second, 5500 * time.Millisecond},
		{"at once", 0, 0, 0},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			begin := time.Now()
			if err := Play(t.Context(), strings.NewReader(cast), &out, tt.speed, tt.maxIdle); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took != tt.took || out.String() != "abc\xff" {
				t.Errorf("%s: %q in %v, want %v", tt.name, out.String(), took, tt.took)
			}
		})
	}
}

func TestPlayEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := Play(ctx, strings.NewReader(head+`[3600,"o","late"]`), &bytes.Buffer{}, 1, 0)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestTyped(t *testing.T) {
	cast := head + `[1.0,"o","$ "]
[1.5,"i","l"]
[1.75,"i","x\u007fs\r"]
[2.0,"o","out\r\n"]
[65.25,"i","caf\ufffd"]
[65.25,"ib","Y2Fmww=="]
[65.5,"i","\ufffd"]
[65.5,"ib","qQ=="]
[66,"i","\u0003\u001b[A\u0085\u202e"]
[67,"i","\ufffd\r"]
[67,"ib","/w0="]
[3723.004,"i","tail\ufffd"]
[3723.004,"ib","dGFpbMM="]
`
	want := "00:00:01.500  lx^?s\n" +
		"00:01:05.250  café^C^[[A\\u{85}\\u{202e}\\xff\n" +
		"01:02:03.004  tail\\xc3\n"
	var out bytes.Buffer
	if err := Typed(strings.NewReader(cast), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDisplay(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "plain\r\n\ttext é 漢 \x08", "plain\r\n\ttext é 漢 \x08"},
		{"colour and moves", "\x1b[1;31mred\x1b[0m\x1b[2J\x1b[H\x1b[?25l\x1b[?1049h\x1b7\x1b8\x1b(B\x1bM", "\x1b[1;31mred\x1b[0m\x1b[2J\x1b[H\x1b[?25l\x1b[?1049h\x1b7\x1b8\x1b(B\x1bM"},
		{"clipboard", "a\x1b]52;c;ZXZpbA==\x07b", "ab"},
		{"title ended by ST", "a\x1b]0;title\x1b\\b", "ab"},
		{"string with escapes inside", "a\x1bPq\x1b\x1b[31m\x1b\\b", "ab"},
		{"APC, PM, SOS", "a\x1b_x\x1b\\\x1b^x\x1b\\\x1bXx\x1b\\b", "ab"},
		{"8-bit OSC", "a\u009d52;c;x\u009cb", "a52;c;xb"},
		{"no-break space is text", "a\u00a0b", "a\u00a0b"},
		{"device status and attributes", "\x1b[6n\x1b[c\x1b[>c\x1b[0c\x1bZ\x05", ""},
		{"window operations", "\x1b[21t\x1b[8;1;1t", ""},
		{"requests with intermediates", "\x1b[?1$p\x1b[1 q\x1b[61\"p", ""},
		{"mouse reports, bracketed paste", "\x1b[?1003h\x1b[?2004h\x1b[?1049;1003h", ""},
		{"out of UTF-8", "\x1b%@\x1b G", ""},
		{"broken off", "\x1b[31\x01x\x1b[3\x1b[1my", "x\x1b[1my"},
		{"endless", "\x1b[" + strings.Repeat("1", 300) + "m", strings.Repeat("1", 45) + "m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 1000} {
				var out bytes.Buffer
				d := NewDisplay(&out)
				for b := []byte(tt.in); len(b) > 0; b = b[min(step, len(b)):] {
					d.Write(b[:min(step, len(b))])
				}
				if out.String() != tt.want {
					t.Errorf("in pieces of %d: %q, want %q", step, out.String(), tt.want)
				}
			}
		})
	}
}
