package pack

import (
	"fmt"
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Options is what the verifier trusts from outside the pack, and what it is to
// compare the pack with.
type Options struct {
	Key       string   // the log's verifier key; "" : origin not checked
	Witnesses []string // verifier keys of witnesses, type 0x04
	Quorum    int      // how many of the witnesses must have cosigned; 0: all
	Since     []byte   // an older checkpoint of the log that the pack must extend; nil: none
	// Stamp verifies a time stamp over the checkpoint's text, by authorities that
	// the caller trusts, and tells when and by whom it was made; then the pack
	// must have one. Nil: the pack's is not looked at.
	Stamp    func(token, text []byte) (at time.Time, by string, err error)
	Previous *Archive // the pack of the period before, to prove the opening state; nil: none
}

// Archive is a pack that can be read at any place.
type Archive struct {
	io.ReaderAt
	Size int64
}

// Verdict is the outcome as a whole.
type Verdict string

// The verdicts.
const (
	Verified   Verdict = "VERIFIED"
	Consistent Verdict = "CONSISTENT, ORIGIN NOT CHECKED" // no key was given
	Refused    Verdict = "REFUSED"
)

// Result is what Verify found. Checks are in the order they were made; after a
// refusal the last one is the one that failed.
type Result struct {
	Verdict      Verdict
	Key          string // the log's key that signed: the given one, or the one that the pack names
	Fingerprint  string // of Key, to compare with the one learned outside the pack
	Installation string
	Origin       string // of the log
	Size         int64  // entries under the checkpoint
	Manifest     *Manifest
	Checks       []Check
}

// ExitCode is what the command that verifies returns: 0 verified, 1 refused,
// 3 consistent but without a key.
func (r *Result) ExitCode() int {
	switch r.Verdict {
	case Verified:
		return 0
	case Consistent:
		return 3
	default:
		return 1
	}
}

// Group is one of the numbered groups of checks.
type Group string

// The groups, in order.
const (
	FormGroup       Group = "form"       // 1: zip, digests
	SignatureGroup  Group = "signatures" // 2: checkpoint, manifest.sig, cosignatures
	HeadersGroup    Group = "headers"    // 3: headers, range and consistency proofs
	BodiesGroup     Group = "bodies"     // 4
	BlobsGroup      Group = "blobs"      // 5
	ReportsGroup    Group = "reports"    // 6
	OpeningGroup    Group = "opening state"
	noSeq           int64 = -1
	groupCount            = 7
	notWitnessed          = "NOT WITNESSED: others may have been shown a different history"
	asClaimed             = "opening state: as claimed"
	signedNotProven       = "signed, not proven"
)

// Check is the outcome of one group of checks.
type Check struct {
	Group   Group    `json:"group"`
	OK      bool     `json:"ok"`
	Details []string `json:"details"` // sentences for people: counts, witnesses, reservations
}

// Refusal is the first check that failed.
type Refusal struct {
	Check  Group  `json:"check"`
	File   string `json:"file"` // in the pack; "" if it is about the zip as a whole
	Seq    int64  `json:"seq"`  // -1: not about one entry
	Reason string `json:"reason"`
}

func (r *Refusal) Error() string {
	where := ""
	if r.File != "" {
		where += ", " + r.File
	}
	if r.Seq >= 0 {
		where += fmt.Sprintf(", entry %d", r.Seq)
	}
	return fmt.Sprintf("refused (%s%s): %s", r.Check, where, r.Reason)
}

// refuse makes a Refusal.
func refuse(check Group, file string, seq int64, format string, args ...any) *Refusal {
	return &Refusal{Check: check, File: file, Seq: seq, Reason: fmt.Sprintf(format, args...)}
}

// because makes a Refusal of an error about untrusted bytes. An error that is
// not about them (reading failed, the context ended) stays what it is.
func because(check Group, file string, seq int64, err error) error {
	if fault.Of(err) == "" {
		return err
	}
	return refuse(check, file, seq, "%v", err)
}
