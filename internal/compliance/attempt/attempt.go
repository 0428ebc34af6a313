// Package attempt has the checks that try what must not work: at the API, at
// every door that speaks TLS, at the databases, at a volume without its key and
// with an altered copy of the ledger.
//
// Invariants: an attempt counts only if the same thing done rightly works at the
// same moment, else it proves nothing and the answer is unknown; what is refused
// changes nothing, and what should have been refused and was not is harmless and
// undone; facts say what was tried against what, and which answer came.
// internal/server fills in what the checks reach out to and gives All to
// internal/compliance.
package attempt

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Config is what the checks reach out to.
type Config struct {
	Store  store.Store
	Kernel *control.Kernel
	// Rehearse is the kernel's: what it would answer, without writing.
	Rehearse func(ctx context.Context, cmd control.Command, by control.By) error
	// API is the platform's own, as anybody reaches it.
	API API
	// Doors lists what can be connected to, from outside and, databases, from
	// inside of their spaces.
	Doors func(ctx context.Context) ([]Door, error)
	// Volumes is the engine.
	Volumes Volumes
	// Ledger makes and verifies copies.
	Ledger Ledger
}

// How often attempts are made. Those at the API leave entries behind, refused
// ones above all, so they are made at each start and then rarely: only another
// program brings other answers.
const (
	hourly = time.Hour
	seldom = 6 * time.Hour
	daily  = 24 * time.Hour
)

// All lists the checks, one a file. Without a store they are there by name only.
func All(c Config) []*compliance.Check {
	list := []*compliance.Check{
		otherSpaceDyno, otherSpaceDatabase,
		plaintext(c), tlsVersion(c), databasePlaintext(c),
		revokedToken(c), suspendedAccount(c), stranger(c), memberForbidden(c), selfApproval(c), refusalOnRecord(c),
		volumeWithoutKey(c), tamperedLedger(c),
	}
	for _, x := range list {
		if c.Store == nil && x.Try != nil {
			x.Try = func(context.Context) ([]compliance.Result, error) {
				return nil, fault.New(fault.Unavailable, "This program makes no attempts.")
			}
		}
	}
	return list
}

// trial collects what was tried against one subject, with the answers.
type trial struct {
	facts []string
	got   []string // what went through: these facts come first
}

// note adds what was done besides.
func (t *trial) note(format string, args ...any) {
	t.facts = append(t.facts, fmt.Sprintf(format, args...))
}

// tried adds an attempt.
func (t *trial) tried(refused bool, format string, args ...any) {
	fact := fmt.Sprintf(format, args...)
	if !refused {
		t.got = append(t.got, "NOT REFUSED: "+fact)
		return
	}
	t.facts = append(t.facts, fact)
}

func (t *trial) result() compliance.Result {
	if len(t.got) > 0 {
		return compliance.Fail(append(t.got, t.facts...)...)
	}
	return compliance.Pass(t.facts...)
}

// provesNothing is the answer where the same thing done rightly did not work
// either.
func provesNothing(format string, args ...any) error {
	return fault.New(fault.Unavailable, "The attempt would prove nothing: %s", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
