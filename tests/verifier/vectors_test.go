package verifier

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/pack"
)

// vectors is where the specification's packs lie beside the repository. They
// were made by another program, from the specification alone.
const vectors = "../../../shared/spec/vectors"

// vector reads one of the specification's files.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the specification's vectors are not beside the repository")
	}
	must(t, err)
	return b
}

// TestVectorsBad: each is refused for the reason that it is named after.
func TestVectorsBad(t *testing.T) {
	key := string(vector(t, "log.vkey"))
	p := newPair(t)
	tests := map[string]struct {
		check  pack.Group
		reason string // a part of it
	}{
		"blob-unlisted":             {pack.BlobsGroup, "seq 10 names it; it is neither there nor in blobs_left_out"},
		"body-altered":              {pack.BodiesGroup, "seq 9: the body does not match its header"},
		"body-missing":              {pack.BodiesGroup, "seq 7: its body is missing, and no body.erase names it"},
		"body-not-canonical":        {pack.BodiesGroup, "seq 7: the body is not canonical"},
		"checkpoint-extension":      {pack.SignatureGroup, "extensions are not allowed"},
		"duplicate-member":          {pack.BodiesGroup, `seq 7: JSON: duplicate member "outcome"`},
		"file-digest":               {pack.FormGroup, "index.html): has 43 bytes"},
		"file-unlisted":             {pack.FormGroup, "reports/extra.csv): the manifest does not list it"},
		"float-number":              {pack.BodiesGroup, "seq 10: JSON: number 11.5 is not an integer"},
		"header-member-order":       {pack.HeadersGroup, "seq 8: the header is not written as the spec wants it"},
		"header-missing":            {pack.HeadersGroup, "seq 7: its header is missing"},
		"manifest-duplicate-member": {pack.FormGroup, `manifest.json): JSON: duplicate member "simulated"`},
		"manifest-signature":        {pack.SignatureGroup, "manifest.sig): signs another manifest"},
		"null-scope-body-missing":   {pack.BodiesGroup, "seq 12: its body is missing, and no body.erase names it"},
		"other-scope-body":          {pack.BodiesGroup, "seq 8: its scope c4a8e2d6-9b7f-4f3a-8e21-0a1b2c3d4e5f is not one of this pack"},
		"proof-altered":             {pack.HeadersGroup, "the range proof does not lead from the headers to the checkpoint's root"},
		"report-row-added":          {pack.ReportsGroup, "(seq 6) is one that no entry gives"},
		"report-row-altered":        {pack.ReportsGroup, `seq 7: row 2: outcome is "ok", the entries give "denied"`},
		"report-row-dropped":        {pack.ReportsGroup, "seq 7: row 2"},
		"rev-gap":                   {pack.BodiesGroup, "has rev 3 after rev 1"},
		"signed-by-another-key":     {pack.SignatureGroup, "checkpoint): not signed by the given key"},
		"state-row-dropped":         {pack.ReportsGroup, "seq 9: row 1 is missing"},
		"tail-truncated":            {pack.HeadersGroup, "the ranges end before the period does"},
		"time-falls":                {pack.HeadersGroup, "seq 9: its time is before that of the entry before it"},
		"zip-duplicate-name":        {pack.FormGroup, "two members are named index.html"},
		"zip-path":                  {pack.FormGroup, `path "../evil"`},
	}
	for name, want := range tests {
		b := vector(t, "bad-"+name+".zip")
		if v := p.refused(t, name, b, pack.Options{Key: key}, want.check); !strings.Contains(v.Reason, want.reason) {
			t.Errorf("%s: refused for another reason than %q: %s", name, want.reason, v.Reason)
		}
	}
	all, err := filepath.Glob(filepath.Join(vectors, "bad-*.zip"))
	must(t, err)
	for _, path := range all {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "bad-"), ".zip")
		if _, ok := tests[name]; !ok {
			t.Errorf("no expectation for vector bad-%s.zip", name)
		}
	}
}

// TestGolden: packs that earlier versions wrote.
func TestGolden(t *testing.T) {
	p := newPair(t)
	paths, err := filepath.Glob("../../internal/pack/testdata/*.zip")
	must(t, err)
	if len(paths) == 0 {
		t.Fatal("there is no golden pack")
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	for _, path := range paths {
		base := strings.TrimSuffix(path, ".zip")
		p.accepted(t, path, read(path), pack.Options{Key: string(read(base + ".vkey")), Since: read(base + ".since")})
	}
}

// TestProgram runs verify.mjs as an auditor does.
func TestProgram(t *testing.T) {
	good, key := filepath.Join(vectors, "good.zip"), filepath.Join(vectors, "log.vkey")
	vector(t, "good.zip")
	tests := []struct {
		name string
		args []string
		code int
		last string // a part of the last line but one, or of the last
	}{
		{"with the key", []string{good, "--key", key}, 0, "VERIFIED"},
		{"with the key itself", []string{good, "--key", strings.TrimSpace(string(vector(t, "log.vkey")))}, 0, "VERIFIED"},
		{"without a key", []string{good}, 3, "CONSISTENT, ORIGIN NOT CHECKED"},
		{"refused", []string{filepath.Join(vectors, "bad-rev-gap.zip"), "--key", key}, 1, "refused (bodies, ledger/bodies): seq 13"},
		{"refused without a key", []string{filepath.Join(vectors, "bad-rev-gap.zip")}, 1, "refused (bodies, ledger/bodies): seq 13"},
		{"another key, and none given", []string{filepath.Join(vectors, "bad-signed-by-another-key.zip")}, 3, "CONSISTENT, ORIGIN NOT CHECKED"},
		{"no pack", []string{"--key", key}, 2, "one pack is wanted"},
		{"no key", []string{good, "--key", "nonsense"}, 2, "not a verifier key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), node(t), append([]string{"verify.mjs"}, test.args...)...)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d: %v\n%s", code, test.code, err, out)
			}
			if !strings.Contains(string(out), test.last) {
				t.Errorf("want %q in:\n%s", test.last, out)
			}
			if verified := strings.Contains(string(out), "VERIFIED\n"); verified != (test.code == 0) {
				t.Errorf("verdict VERIFIED: %v\n%s", verified, out)
			}
		})
	}
}
