package record

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/outside"
)

// maxUnwitnessed is how long a witness may be silent.
const maxUnwitnessed = 15 * time.Minute

// witnessed: whoever has the log's key can sign another history; somebody
// elsewhere remembers the one that was.
func witnessed(m Means) *compliance.Check {
	return &compliance.Check{
		ID: "record.witnessed", Title: "Witnesses outside of this host cosign the ledger's checkpoints", Version: 1,
		Every: time.Minute,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			list, err := m.Outside.Witnessed(ctx)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				return m.unwitnessed(ctx)
			}
			var out []compliance.Result
			for _, w := range list {
				out = append(out, m.seen(w).Of("", w.Witness, w.Witness))
			}
			return out, nil
		},
	}
}

// unwitnessed: a time-stamp authority is somebody outside as well, though it
// remembers nothing. With neither, nobody is.
func (m Means) unwitnessed(ctx context.Context) ([]compliance.Result, error) {
	stamped, err := m.Outside.Stamped(ctx)
	switch {
	case err != nil:
		return nil, err
	case stamped != nil:
		return whole(compliance.NotApplicable("The settings name no witness, but a time-stamp authority.")), nil
	}
	return whole(compliance.Fail("The settings name neither a witness nor a time-stamp authority: nobody outside of this host knows what the ledger was.")), nil
}

// seen judges what one witness said last.
func (m Means) seen(w outside.Seen) compliance.Result {
	last := "It has not cosigned anything yet."
	if !w.At.IsZero() {
		last = fmt.Sprintf("It cosigned %d entries at %s.", w.Size, when(w.At))
	}
	switch {
	case w.Refusal != "":
		return compliance.Fail(w.Refusal, last)
	case w.At.IsZero() || m.Now().Sub(w.At) > maxUnwitnessed:
		return compliance.Fail("The witness does not answer.", last)
	}
	return compliance.Pass(last)
}
