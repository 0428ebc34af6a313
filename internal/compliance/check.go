package compliance

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Check looks at the state, or tries what must not work, and says pass, fail,
// not applicable or unknown about each of its subjects. Exactly one of State and
// Try is there.
type Check struct {
	ID      string // as controls name it
	Title   string
	Version int // grows when its meaning changes
	// Every is how often it runs at least. A run that is later than twice that
	// leaves a gap of unknown.
	Every time.Duration
	// Reads are prefixes of the actions after which it runs at once.
	Reads []string

	// State is a pure function of the state: on a past one it says what it
	// would have said then.
	State func(v store.View, now time.Time) ([]Result, error)
	// Try reaches outside of the state: an attempt, or a look at the host. It
	// runs beside other checks and ends when ctx does, if need be with an error.
	Try func(ctx context.Context) ([]Result, error)
	// Within is how long a Try may take, a tenth of Every unless it is given, and
	// then from one minute to ten.
	Within time.Duration
	// Shares names what several checks act on: of these one runs at a time.
	Shares string
}

// Result is what a check says of one subject.
type Result struct {
	Scope   string // space or team, "" = the installation
	Subject string // id, "" = all of the scope
	Name    string // of the subject, for people
	Status  string
	Facts   []string // what was seen; no secrets, no PHI
	Seqs    []int64  // entries that it was seen in
}

// Pass, Fail and NotApplicable are results without a subject yet.
func Pass(facts ...string) Result { return Result{Status: document.StatusPass, Facts: facts} }

// Fail is what ought not to be.
func Fail(facts ...string) Result { return Result{Status: document.StatusFail, Facts: facts} }

// NotApplicable is a subject that the check has nothing to say about.
func NotApplicable(facts ...string) Result {
	return Result{Status: document.StatusNotApplicable, Facts: facts}
}

// Of gives the result a subject.
func (r Result) Of(scope, subject, name string) Result {
	r.Scope, r.Subject, r.Name = scope, subject, name
	return r
}

// touched tells whether the check reads what an entry of this action changes.
func (c *Check) touched(action string) bool {
	for _, p := range c.Reads {
		if strings.HasPrefix(action, p) {
			return true
		}
	}
	return false
}

// within is how long a run may take.
func (c *Check) within() time.Duration {
	return cmp.Or(c.Within, min(max(c.Every/10, time.Minute), 10*time.Minute))
}

// grace is how long after a run the check still counts as having run on time.
func (c *Check) grace() time.Duration { return 2 * c.Every }
