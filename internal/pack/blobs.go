package pack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// blobs makes the checks of group 5: every blob that an entry of the period
// names is there or listed as left out, and no other blob is there.
type blobs struct {
	files   map[string]*File   // by digest
	leftOut map[string]LeftOut // by digest
	named   map[string]bool    // digests of both that an entry names
	refusal error              // the first
}

func (b *blobs) init(v *verifier) {
	b.files, b.leftOut, b.named = map[string]*File{}, map[string]LeftOut{}, map[string]bool{}
	for i := range v.manifest.Files {
		f := &v.manifest.Files[i]
		if hex, ok := strings.CutPrefix(f.Path, blobsPrefix); ok {
			b.files["sha256:"+hex] = f
			if f.SHA256 != "sha256:"+hex && b.refusal == nil {
				b.refusal = refuse(BlobsGroup, f.Path, noSeq, "the file's name is not its digest")
			}
		}
	}
	for _, l := range v.manifest.BlobsLeftOut {
		b.leftOut[l.SHA256] = l
	}
}

// take looks at the blobs that an entry names; those of an entry outside of the
// period need not be there.
func (b *blobs) take(e *Entry, required bool) {
	if b.refusal != nil {
		return
	}
	err := eachObject(e.body, "blobs", func(v ledger.Value) error {
		digest, ok1 := text(v.Member("sha256"))
		size, ok2 := v.Member("size").Int()
		if _, err := ledger.ParseDigest(digest); err != nil || !ok1 || !ok2 {
			return fault.New(fault.Invalid, "a blob lacks sha256 or size")
		}
		f := b.files[digest]
		_, out := b.leftOut[digest]
		switch {
		case f != nil && f.Bytes != size:
			return fault.New(fault.Invalid, "blob %s has %d bytes, the entry says %d", digest, f.Bytes, size)
		case f == nil && !out && required:
			return fault.New(fault.Invalid, "blob %s is neither in the pack nor listed as left out", digest)
		case f != nil || out:
			b.named[digest] = true
		}
		return nil
	})
	if err != nil {
		b.refusal = because(BlobsGroup, bodiesPath, e.Header.Seq, err)
	}
}

func (v *verifier) blobsEnd(*source) error {
	b := &v.walk.blobs
	if b.refusal != nil {
		return b.refusal
	}
	for _, digest := range slices.Sorted(maps.Keys(b.files)) {
		if !b.named[digest] {
			return refuse(BlobsGroup, b.files[digest].Path, noSeq, "no entry of the pack names the blob")
		}
	}
	reasons := map[string]int{}
	for digest, l := range b.leftOut {
		if b.named[digest] && b.files[digest] == nil {
			reasons[l.Reason]++
		}
	}
	details := []string{fmt.Sprintf("%d blobs match", len(b.files))}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		details = append(details, fmt.Sprintf("%d blobs left out: %s", reasons[reason], reason))
	}
	v.passed(BlobsGroup, details...)
	return nil
}
