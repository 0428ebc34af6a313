package witness

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Bounds of a request. A proof between two trees of up to 2^63 leaves has no
// more hashes.
const (
	maxRequest = 64 << 10
	maxProof   = 63
)

// Request asks to cosign a checkpoint, given the one that was cosigned before.
type Request struct {
	Old   int64          // size of the checkpoint that was cosigned before, 0 = none
	Proof tlog.TreeProof // that the new one extends it
	Note  []byte         // the new checkpoint, signed by the log
}

// Marshal writes the request as it is sent.
func (r *Request) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", r.Old)
	for _, h := range r.Proof {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(r.Note)
	return b.Bytes()
}

// ParseRequest reads what Marshal writes and nothing else. The note is not
// looked at yet.
func ParseRequest(b []byte) (*Request, error) {
	head, signed, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok || len(signed) == 0 {
		return nil, fault.New(fault.Invalid, "an old size, a proof, an empty line and a checkpoint are expected")
	}
	lines := strings.Split(string(head), "\n")
	digits, ok := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || old < 0 || strconv.FormatInt(old, 10) != digits {
		return nil, fault.New(fault.Invalid, "the first line is not an old size, as \"old 17\"")
	}
	if len(lines)-1 > maxProof || old == 0 && len(lines) > 1 {
		return nil, fault.New(fault.Invalid, "a proof of %d hashes cannot be", len(lines)-1)
	}
	r := &Request{Old: old, Note: signed}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return nil, fault.New(fault.Invalid, "a line of the proof is not a hash in base64")
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}
