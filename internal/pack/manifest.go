package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Format is the format that this package writes and verifies.
const Format = "strongroom-evidence/1"

// Files of every pack.
const (
	manifestPath    = "manifest.json"
	signaturePath   = "manifest.sig"
	checkpointPath  = "checkpoint"
	headersPath     = "ledger/headers"
	bodiesPath      = "ledger/bodies"
	rangePath       = "ledger/range.json"
	consistencyPath = "ledger/consistency.json"
	keysPath        = "keys.json"
	indexPath       = "index.html"
	reportsPath     = "reports/index.json"
	blobsPrefix     = "blobs/"
	stampPath       = "timestamps/checkpoint.tst"
)

// maxManifest bounds manifest.json, and with it the number of files.
const maxManifest = 16 << 20

// Manifest says what a pack is about and lists its files.
type Manifest struct {
	Format       string    `json:"format"`
	Installation string    `json:"installation"` // UUID
	Scope        Asked     `json:"scope"`
	Scopes       []*string `json:"scopes"` // whose bodies are in the pack; nil is the installation's own
	Period       Period    `json:"period"`
	Simulated    bool      `json:"simulated"` // made by a demonstration or a test
	CreatedAt    Time      `json:"created_at"`
	Program      string    `json:"program"`
	BlobsLeftOut []LeftOut `json:"blobs_left_out"`
	Files        []File    `json:"files"` // all but manifest.json and manifest.sig
}

// Asked is what the export was asked for.
type Asked struct {
	Spaces []string `json:"spaces"` // nil: the whole installation
}

// Period holds the entries with From ≤ time < To.
type Period struct {
	From Time `json:"from"`
	To   Time `json:"to"`
}

// Contains reports whether an entry of time t is in the period.
func (p Period) Contains(t time.Time) bool { return !t.Before(p.From.Time) && t.Before(p.To.Time) }

// LeftOut names a blob that an entry names and the pack does not hold.
type LeftOut struct {
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
}

// File is one file of the pack.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// Time is a time that is written as the ledger writes it.
type Time struct{ time.Time }

// MarshalJSON writes the ledger's form.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + ledger.FormatTime(t.Time) + `"`), nil
}

// UnmarshalJSON reads the ledger's form only.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	var err error
	t.Time, err = ledger.ParseTime(s)
	return err
}

// check validates what the manifest says about the pack as a whole.
func (m *Manifest) check() error {
	switch {
	case m.Format != Format:
		return fault.New(fault.Invalid, "the format is %.40q, this program knows %s", m.Format, Format)
	case !ledger.IsUUID(m.Installation):
		return fault.New(fault.Invalid, "the installation is not a UUID")
	case !m.Period.From.Before(m.Period.To.Time):
		return fault.New(fault.Invalid, "the period does not end after it begins")
	}
	seen := map[string]bool{}
	for _, scope := range m.Scopes {
		if scope != nil && !ledger.IsUUID(*scope) {
			return fault.New(fault.Invalid, "scope %.40q is not a UUID", *scope)
		}
		if key := scopeKey(scope); seen[key] {
			return fault.New(fault.Invalid, "scope %q is listed twice", key)
		}
		seen[scopeKey(scope)] = true
	}
	if !seen[""] {
		return fault.New(fault.Invalid, "the scopes do not hold null")
	}
	for _, space := range m.Scope.Spaces {
		if !seen[space] || space == "" {
			return fault.New(fault.Invalid, "space %.40q was asked for but is not among the scopes", space)
		}
	}
	for _, blob := range m.BlobsLeftOut {
		if _, err := ledger.ParseDigest(blob.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// scopeKey makes a map key of a scope: "" for null, which no UUID is.
func scopeKey(scope *string) string {
	if scope == nil {
		return ""
	}
	return *scope
}

// signedText is what manifest.sig signs.
func signedText(installation, digest string) string {
	return Format + "\n" + installation + "\n" + digest + "\n"
}

// Consistency is ledger/consistency.json: proof that the pack's checkpoint
// extends an older one over From entries.
type Consistency struct {
	From  int64  `json:"from"`
	Proof []Hash `json:"proof"`
}

// RangeProof is ledger/range.json.
type RangeProof struct {
	Ranges []Bounds `json:"ranges"`
	Proof  []Hash   `json:"proof"`
}

// Bounds are the first entry of a range and the one after its last.
type Bounds [2]int64

// UnmarshalJSON requires exactly two numbers.
func (p *Bounds) UnmarshalJSON(b []byte) error { return decodePair(b, (*[2]int64)(p)) }

// decodePair reads an array of two. encoding/json would forgive more or fewer.
func decodePair[T any](b []byte, pair *[2]T) error {
	var list []T
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fault.New(fault.Invalid, "the JSON has another shape than the format's: not a pair")
	}
	copy(pair[:], list)
	return nil
}

// Key is an element of keys.json.
type Key struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// validPath reports whether a file may have this name in a pack.
func validPath(path string) bool {
	ok := func(r rune) bool {
		return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("._/-", r)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return strings.IndexFunc(path, func(r rune) bool { return !ok(r) }) < 0
}

// decodeJSON reads a JSON file of a pack. Member names must be the format's
// own: lower case, so that encoding/json, which matches regardless of case,
// cannot take one name for another, and none twice. Unknown members are ignored.
func decodeJSON(b []byte, v any) error {
	if err := ledger.CheckJSONNames(bytes.NewReader(b), lowerCase); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return f
		}
		return fault.Wrap(fault.Invalid, err, "the JSON has another shape than the format's")
	}
	return nil
}

func lowerCase(name string) error {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return fault.New(fault.Invalid, "member name %.40q is none of the format's", name)
		}
	}
	return nil
}

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}
