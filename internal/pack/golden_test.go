package pack

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write golden packs that are not there yet; never rewrites one")

// TestGolden verifies packs that earlier versions wrote: an auditor's verifier
// must go on reading them. testdata/<version>.zip lies beside its key.
func TestGolden(t *testing.T) {
	const current = "testdata/strongroom-evidence-1"
	if _, err := os.Stat(current + ".zip"); *update && errors.Is(err, fs.ErrNotExist) {
		l := newTestLog(t)
		x := l.newExport(t)
		x.since = 10
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(current+".zip", l.pack(t, x), 0o644))
		must(t, os.WriteFile(current+".vkey", []byte(l.vkey+"\n"), 0o644))
		must(t, os.WriteFile(current+".since", l.signed(t, l.at(t, 10)), 0o644))
	}
	paths, err := filepath.Glob("testdata/*.zip")
	must(t, err)
	if len(paths) == 0 {
		t.Fatal("no golden pack")
	}
	for _, path := range paths {
		base := path[:len(path)-len(".zip")]
		content, err := os.ReadFile(path)
		must(t, err)
		key, err := os.ReadFile(base + ".vkey")
		must(t, err)
		since, err := os.ReadFile(base + ".since")
		must(t, err)
		result, err := verifyBytes(t, content, Options{Key: string(key), Since: since})
		must(t, err)
		if result.Verdict != Verified || len(result.Checks) != groupCount {
			t.Errorf("%s: %+v", path, result)
		}
		wantRefusal(t, content, Options{Key: newTestLog(t).vkey}, Refusal{SignatureGroup, checkpointPath, noSeq, "not signed by the given key"})
	}
}

// TestWriterIsDeterministic: the same files and manifest give the same bytes.
func TestWriterIsDeterministic(t *testing.T) {
	l := newTestLog(t)
	x := l.newExport(t)
	if !bytes.Equal(l.pack(t, x), l.pack(t, x)) {
		t.Error("two packs differ")
	}
}
