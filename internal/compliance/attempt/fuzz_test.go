package attempt

import (
	"bytes"
	"testing"
)

// FuzzMessage: a server that is none is read within bounds.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "E", "E\x00\x00\x00\x04", "E\x00\x00\x00\x0cC28000\x00\x00", "R\x00\x00\x00\x08\x00\x00\x00\x0a", "E\xff\xff\xff\xff\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, code, err := readMessage(bytes.NewReader(b))
		if err == nil && (kind != b[0] || len(code) > 5 || code != "" && kind != 'E') {
			t.Errorf("%q of kind %q has the code %q", b, kind, code)
		}
	})
}
