package pack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// maxNote bounds a signed note.
const maxNote = 1 << 20

// trust is group 0: it reads the keys that come from outside the pack.
func (v *verifier) trust() error {
	if key := strings.TrimSpace(v.opts.Key); key != "" {
		var err error
		if v.key, err = note.NewVerifier(key); err != nil {
			return fault.Wrap(fault.Invalid, err, "malformed log key")
		}
		v.opts.Key = key
	}
	for _, vkey := range v.opts.Witnesses {
		w, err := ledger.NewWitness(strings.TrimSpace(vkey))
		if err != nil {
			return err
		}
		for _, other := range v.witnesses {
			if w.SameKey(other) {
				return fault.New(fault.Invalid, "the witnesses %s and %s have the same key", other.Name(), w.Name())
			}
		}
		v.witnesses = append(v.witnesses, w)
	}
	if v.opts.Quorum < 0 || v.opts.Quorum > len(v.witnesses) {
		return fault.New(fault.Invalid, "a quorum of %d is impossible with %d witness keys", v.opts.Quorum, len(v.witnesses))
	}
	return nil
}

// signatures is group 2: checkpoint and manifest.sig by the log's key,
// cosignatures by the given witnesses.
func (v *verifier) signatures(context.Context) error {
	signedCheckpoint, err := v.readFile(checkpointPath, maxNote)
	if err != nil {
		return err
	}
	signedManifest, err := v.readFile(signaturePath, maxNote)
	if err != nil {
		return err
	}
	if v.logKey, v.result.Key = v.key, v.opts.Key; v.key == nil {
		if err := v.findKey(signedCheckpoint, signedManifest); err != nil {
			return err
		}
	}
	v.result.Fingerprint = ledger.Fingerprint(v.result.Key)
	n, err := v.openCheckpoint(signedCheckpoint)
	if err != nil {
		return err
	}
	if err := v.openManifest(signedManifest); err != nil {
		return err
	}
	witnessed, err := v.cosignatures(n)
	if err != nil {
		return err
	}
	stamped, err := v.stamped(n.Text)
	if err != nil {
		return err
	}
	v.passed(SignatureGroup, slices.Concat([]string{
		fmt.Sprintf("checkpoint over %d entries of %s", v.checkpoint.Size, v.checkpoint.Origin),
	}, witnessed, stamped)...)
	return nil
}

// maxStamp bounds a time stamp.
const maxStamp = 64 << 10

// stamped looks at the time stamp, if the caller knows whom to trust for it. The
// format does not speak of it: to others it is a file like those of reports.
func (v *verifier) stamped(text string) ([]string, error) {
	if v.opts.Stamp == nil {
		return nil, nil
	}
	if v.zip.members[stampPath] == nil {
		return nil, refuse(SignatureGroup, stampPath, noSeq, "not timestamped")
	}
	token, err := v.readFile(stampPath, maxStamp)
	if err != nil {
		return nil, err
	}
	at, by, err := v.opts.Stamp(token, []byte(text))
	if err != nil {
		return nil, because(SignatureGroup, stampPath, noSeq, err)
	}
	if at.Before(v.manifest.Period.To.Time) {
		return nil, refuse(SignatureGroup, stampPath, noSeq, "not timestamped after the period: only at %s", ledger.FormatTime(at))
	}
	return []string{fmt.Sprintf("timestamped by %s at %s", by, ledger.FormatTime(at))}, nil
}

// openCheckpoint requires the log key's signature, with or without others.
func (v *verifier) openCheckpoint(signed []byte) (*note.Note, error) {
	keys := []note.Verifier{v.logKey}
	for _, w := range v.witnesses {
		keys = append(keys, w)
	}
	c, n, err := ledger.OpenCheckpoint(signed, keys...)
	if err != nil {
		return nil, because(SignatureGroup, checkpointPath, noSeq, err)
	}
	if !signedBy(n, v.logKey) {
		return nil, refuse(SignatureGroup, checkpointPath, noSeq, "not signed by the given key")
	}
	installation, _, err := ledger.ParseOrigin(c.Origin)
	if err != nil {
		return nil, because(SignatureGroup, checkpointPath, noSeq, err)
	}
	if installation != v.manifest.Installation {
		return nil, refuse(SignatureGroup, checkpointPath, noSeq,
			"the checkpoint is of installation %s, the manifest of %s", installation, v.manifest.Installation)
	}
	v.checkpoint, v.result.Origin, v.result.Size = c, c.Origin, c.Size
	return n, nil
}

func (v *verifier) openManifest(signed []byte) error {
	n, err := ledger.OpenNote(signed, v.logKey)
	if err != nil {
		return because(SignatureGroup, signaturePath, noSeq, err)
	}
	if n.Text != signedText(v.manifest.Installation, v.digest) {
		return refuse(SignatureGroup, signaturePath, noSeq, "the signature is about another manifest")
	}
	return nil
}

func signedBy(n *note.Note, key note.Verifier) bool {
	for _, sig := range n.Sigs {
		if sig.Name == key.Name() && sig.Hash == key.KeyHash() {
			return true
		}
	}
	return false
}

// findKey takes, where no key was given, the key in the pack that signed both
// notes. That shows only that the pack agrees with itself.
func (v *verifier) findKey(notes ...[]byte) error {
	content, err := v.readFile(keysPath, maxNote)
	if err != nil {
		return err
	}
	var keys []Key
	if err := decodeJSON(content, &keys); err != nil {
		return because(SignatureGroup, keysPath, noSeq, err)
	}
	for _, key := range keys {
		verifier, err := note.NewVerifier(key.Key)
		if err != nil {
			return refuse(SignatureGroup, keysPath, noSeq, "malformed key %.80q", key.Name)
		}
		signed := 0
		for _, n := range notes {
			if _, err := ledger.OpenNote(n, verifier); err == nil {
				signed++
			}
		}
		if signed == len(notes) {
			v.logKey, v.result.Key = verifier, key.Key
			return nil
		}
	}
	return refuse(SignatureGroup, keysPath, noSeq, "none of the pack's own keys signed both checkpoint and manifest.sig")
}

// cosignatures counts the given witnesses that cosigned the checkpoint after
// the period's end.
func (v *verifier) cosignatures(n *note.Note) (details []string, err error) {
	if len(v.witnesses) == 0 {
		return []string{notWitnessed}, nil
	}
	need := v.opts.Quorum
	if need == 0 {
		need = len(v.witnesses)
	}
	have := 0
	for _, w := range v.witnesses {
		at, ok := w.CosignedAt(n)
		switch {
		case !ok:
			details = append(details, "not witnessed by "+w.Name())
		case at.Before(v.manifest.Period.To.Time):
			details = append(details, fmt.Sprintf("not witnessed by %s after the period: only at %s", w.Name(), ledger.FormatTime(at)))
		default:
			have++
			details = append(details, fmt.Sprintf("witnessed by %s at %s", w.Name(), ledger.FormatTime(at)))
		}
	}
	if have < need {
		return nil, refuse(SignatureGroup, checkpointPath, noSeq,
			"%d of %d witnesses needed: %s", have, need, strings.Join(details, "; "))
	}
	return details, nil
}
