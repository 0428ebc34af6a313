// Package host has the checks of what root on the host does beside the platform:
// they compare what the host holds with what the platform made.
//
// The server is not privileged and can look at little itself: the engine surveys
// the host and the checks judge what it says.
//
// Invariants: an area that nobody could look at is unknown; each result says
// what was looked at; a stray is told in the space that it was found in.
// internal/server gives All to internal/compliance.
package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of the checks.
type Config struct {
	Engine    Engine
	Store     Store
	Clock     func() (Clock, error)      // KernelClock
	Listeners func() ([]Listener, error) // KernelListeners
	// Declared are the addresses of the platform itself, and others that its
	// operator declared.
	Declared Declared
	// Installed gives the digests of what is installed now.
	Installed func() (Installed, error)
	// Sessions asks databases who is connected to them. Those that could not be
	// asked are not in the answer.
	Sessions func(ctx context.Context, list []*document.Addon) map[string][]Session
}

// Engine is what looks: a driver.Driver.
type Engine interface {
	Survey(ctx context.Context, area string) (*driver.Survey, error)
}

// Store tells which spaces are on record.
type Store interface {
	Read(ctx context.Context, fn func(store.View) error) error
}

// often is how often the host is looked at. What was made and undone between two
// looks is not seen, unless the engine noticed it.
const often = time.Minute

// seldom is how often what takes the engine longer is looked at.
const seldom = 10 * time.Minute

// All lists the checks, one a file.
func All(cfg Config) []*compliance.Check {
	return []*compliance.Check{binary(cfg), clock(cfg), containers(cfg), dataFiles(cfg), databaseSessions(cfg), firewall(cfg), logins(cfg), mounts(cfg), network(cfg), sockets(cfg)}
}

// survey judges what the engine finds in an area: a result for what belongs to no
// space, and one for each space.
func (c Config) survey(area string) func(context.Context) ([]compliance.Result, error) {
	return func(ctx context.Context) ([]compliance.Result, error) {
		s, err := c.Engine.Survey(ctx, area)
		if err != nil {
			return nil, err
		}
		var out []compliance.Result
		err = c.Store.Read(ctx, func(v store.View) error {
			for _, p := range s.Parts {
				space, err := v.Get(document.KindSpace, p.Space)
				if err != nil {
					return err
				}
				out = append(out, result(p, space != nil))
			}
			return nil
		})
		return out, err
	}
}

// result of one part. A space that is not on record, as that of builds, is told
// of in the installation's scope.
func result(p driver.Part, onRecord bool) compliance.Result {
	r := judge(p)
	switch {
	case onRecord:
		return r.Of(p.Space, p.Space, p.Name)
	case p.Space == "":
		return r.Of("", "host", "the host")
	}
	return r.Of("", p.Space, "the platform's own space "+p.Name)
}

// judge fails a part with strays. Numbers stay out of a failure's facts: they
// would make news of it each time.
func judge(p driver.Part) compliance.Result {
	var whats, counts []string
	for _, c := range p.Looked {
		whats = append(whats, c.What)
		counts = append(counts, fmt.Sprintf("%d %s", c.N, c.What))
	}
	if len(p.Strays) == 0 {
		return compliance.Pass("Looked at: " + strings.Join(counts, ", ") + ". There is nothing that the platform did not make.")
	}
	var facts []string
	for _, x := range p.Strays {
		facts = append(facts, x.Text)
	}
	if p.More > 0 {
		facts = append(facts, "There is more than is listed here.")
	}
	return compliance.Fail(append(facts, "Looked at: "+strings.Join(whats, ", ")+".")...)
}
