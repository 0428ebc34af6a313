package pack

import (
	"context"
	"errors"
	"io"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/ledger"
)

// Verify checks a pack. The error is a *Refusal if the pack is not what it has
// to be; then the result says how far it got. Any other error says that the
// pack could not be checked: an option is malformed, reading failed, or the
// context ended.
func Verify(ctx context.Context, r io.ReaderAt, size int64, opts Options) (*Result, error) {
	v, err := verify(ctx, Archive{r, size}, opts)
	if v == nil {
		return nil, err
	}
	return v.result, err
}

// verify returns no verifier if the pack could not be checked.
func verify(ctx context.Context, source Archive, opts Options) (*verifier, error) {
	v, err := newVerifier(source, opts)
	if err != nil {
		return nil, err
	}
	err = v.run(ctx)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		v.result.Verdict = Refused
		v.result.Checks = append(v.result.Checks, Check{Group: refusal.Check, Details: []string{refusal.Error()}})
		return v, refusal
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// verifier carries one verification. Each group of checks has a file of its own.
type verifier struct {
	source    Archive
	opts      Options
	key       note.Verifier // the given log key; nil: none
	witnesses []*ledger.Witness
	result    *Result

	zip        *archive
	manifest   *Manifest
	digest     string           // of manifest.json
	files      map[string]*File // by path
	long       []*digested      // headers and bodies, in the manifest's order
	checkpoint ledger.Checkpoint
	logKey     note.Verifier // the key that signed
	ranges     []ledger.Range
	walk       *walk
}

func newVerifier(source Archive, opts Options) (*verifier, error) {
	v := &verifier{source: source, opts: opts, result: &Result{}}
	if err := v.trust(); err != nil {
		return nil, err
	}
	return v, nil
}

// run makes the checks. Their order is that of the reference page: what the form
// turns out to lack at the end counts before what the others found.
func (v *verifier) run(ctx context.Context) error {
	if err := v.form(ctx); err != nil {
		return err
	}
	err := v.content(ctx)
	var refusal *Refusal
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	if broken := v.formEnd(ctx); broken != nil {
		return broken
	}
	if err != nil {
		return err
	}
	v.result.Verdict = Consistent
	if v.key != nil {
		v.result.Verdict = Verified
	}
	return nil
}

// content makes the checks of groups 2 to 7.
func (v *verifier) content(ctx context.Context) error {
	for _, check := range []func(context.Context) error{v.signatures, v.entries, v.opening} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// passed records that a group of checks passed.
func (v *verifier) passed(group Group, details ...string) {
	v.result.Checks = append(v.result.Checks, Check{Group: group, OK: true, Details: details})
}
