package pack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors is where the specification's packs lie beside the repository. They
// were made by another program, from the specification alone.
const vectors = "../../../shared/spec/vectors"

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the specification's vectors are not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verifyBytes(t testing.TB, b []byte, opts Options) (*Result, error) {
	t.Helper()
	return Verify(context.Background(), bytes.NewReader(b), int64(len(b)), opts)
}

func TestVectorGood(t *testing.T) {
	good, key := readVector(t, "good.zip"), string(readVector(t, "log.vkey"))
	result, err := verifyBytes(t, good, Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if result.Verdict != Verified || result.ExitCode() != 0 || len(result.Checks) != groupCount {
		t.Errorf("with the key: %+v", result)
	}
	all := ""
	for _, check := range result.Checks {
		all += strings.Join(check.Details, "\n") + "\n"
	}
	for _, want := range []string{
		"SIMULATED", notWitnessed, "14 headers in 2 ranges", "1 bodies erased by rule access-events-1d",
		"1 entries of other scopes", "1 blobs left out: recordings not asked for",
		"reports/releases.csv: 3 rows", "reports/release-state.csv: 1 rows", asClaimed + ": 3 documents", "signed, not proven: 1 files",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("details lack %q:\n%s", want, all)
		}
	}
	result, err = verifyBytes(t, good, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Verdict != Consistent || result.ExitCode() != 3 || result.Fingerprint == "" {
		t.Errorf("without a key: %+v", result)
	}
}

func TestVectorsBad(t *testing.T) {
	key := string(readVector(t, "log.vkey"))
	tests := map[string]Refusal{
		"blob-unlisted":             {BlobsGroup, bodiesPath, 10, "neither in the pack nor listed as left out"},
		"body-altered":              {BodiesGroup, bodiesPath, 9, "the body does not match its header"},
		"body-missing":              {BodiesGroup, bodiesPath, 7, "missing, and no body.erase names it"},
		"body-not-canonical":        {BodiesGroup, bodiesPath, 7, "not canonical JSON"},
		"checkpoint-extension":      {SignatureGroup, checkpointPath, noSeq, "exactly three lines"},
		"duplicate-member":          {BodiesGroup, bodiesPath, 7, "duplicate member name"},
		"file-digest":               {FormGroup, indexPath, noSeq, "bytes, the manifest says"},
		"file-unlisted":             {FormGroup, "reports/extra.csv", noSeq, "the manifest does not list the file"},
		"float-number":              {BodiesGroup, bodiesPath, 10, "not canonical JSON"},
		"header-member-order":       {HeadersGroup, headersPath, 8, "malformed header"},
		"header-missing":            {HeadersGroup, headersPath, 7, "the header of entry 8 is where that of entry 7 must be"},
		"manifest-duplicate-member": {FormGroup, manifestPath, noSeq, "duplicate member name"},
		"manifest-signature":        {SignatureGroup, signaturePath, noSeq, "the signature is about another manifest"},
		"null-scope-body-missing":   {BodiesGroup, bodiesPath, 12, "missing, and no body.erase names it"},
		"other-scope-body":          {BodiesGroup, bodiesPath, 8, "must not hold a body of scope"},
		"proof-altered":             {HeadersGroup, rangePath, noSeq, "do not lead to the checkpoint's root"},
		"report-row-added":          {ReportsGroup, "reports/releases.csv", 6, "a row at the end that no entry gives"},
		"report-row-altered":        {ReportsGroup, "reports/releases.csv", 7, "the row is not what the entry gives"},
		"report-row-dropped":        {ReportsGroup, "reports/releases.csv", 7, "the row of the entry is missing"},
		"rev-gap":                   {BodiesGroup, bodiesPath, 13, "rev 3 of \"app\""},
		"signed-by-another-key":     {SignatureGroup, checkpointPath, noSeq, "not signed by the given key"},
		"state-row-dropped":         {ReportsGroup, "reports/release-state.csv", 9, "the row of the entry is missing"},
		"tail-truncated":            {HeadersGroup, headersPath, 13, "no range"},
		"time-falls":                {HeadersGroup, headersPath, 9, "the time is before"},
		"zip-duplicate-name":        {FormGroup, indexPath, noSeq, "two files of that name"},
		"zip-path":                  {FormGroup, "../evil", noSeq, "cannot hold a file of that name"},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, readVector(t, "bad-"+name+".zip"), Options{Key: key}, want)
		})
	}
	all, err := filepath.Glob(filepath.Join(vectors, "bad-*.zip"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "bad-"), ".zip")
		if _, ok := tests[name]; !ok {
			t.Errorf("no expectation for vector bad-%s.zip", name)
		}
	}
}

// wantRefusal verifies a pack and compares the refusal; Reason is a part of it.
func wantRefusal(t *testing.T, b []byte, opts Options, want Refusal) {
	t.Helper()
	result, err := verifyBytes(t, b, opts)
	var got *Refusal
	if !errors.As(err, &got) {
		t.Fatalf("not refused: %v", err)
	}
	if got.Check != want.Check || got.File != want.File || got.Seq != want.Seq || !strings.Contains(got.Reason, want.Reason) {
		t.Errorf("refused for another reason:\n got %+v\nwant %+v", *got, want)
	}
	if result.Verdict != Refused || result.ExitCode() != 1 {
		t.Errorf("verdict %s, exit code %d", result.Verdict, result.ExitCode())
	}
}
