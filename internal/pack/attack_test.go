package pack

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestAttackers gives the verifier packs that are made to wear it out, each
// signed with the right key: it refuses them soon, and in little memory. (Names
// and structures of zips that mislead are in TestZipRefuses and TestZipAround.)
func TestAttackers(t *testing.T) {
	l := newTestLog(t)
	honest := takeApart(t, l.pack(t, l.newExport(t)))
	const mib = 1 << 20
	zeros := bytes.Repeat([]byte{'0'}, 96*mib) // deflated: a hundred KiB
	nested := []byte(strings.Repeat("[", 20*mib))
	var names strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&names, `"k%d":0,`, n)
	}
	var pairs strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&pairs, "[%d,%d],", 2*n, 2*n+1)
	}
	for name, tt := range map[string]struct {
		path    string
		content []byte
		reason  string
	}{
		"header without an end":     {headersPath, zeros, "longer than"},
		"body without an end":       {bodiesPath, zeros, "longer than"},
		"JSON that goes deep":       {keysPath, nested, ""},
		"reports that go deep":      {reportsPath, nested, ""},
		"an object of many names":   {rangePath, []byte("{" + names.String() + `"k0":0}`), ""},
		"many ranges":               {rangePath, []byte(`{"ranges":[` + strings.TrimSuffix(pairs.String(), ",") + `],"proof":[]}`), ""},
		"a checkpoint of megabytes": {checkpointPath, zeros, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := honest.clone()
			f.content[tt.path] = tt.content
			b := f.resigned(t, l.signer)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err := verifyBytes(t, b, Options{Key: l.vkey})
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Error(), tt.reason) {
				t.Errorf("%.300v", err)
			}
			if grown := int64(after.TotalAlloc - before.TotalAlloc); took > 20*time.Second || grown > 1200*mib {
				t.Errorf("refused after %s and %d MiB", took, grown/mib)
			}
			t.Logf("%s, %d MiB, pack of %d KiB: %.200v", took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)/mib, len(b)>>10, err)
		})
	}
}
