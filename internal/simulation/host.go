package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// programme is what looks at the simulated installation: the checks of the state
// as they are, but at the simulation's pace, and in the place of those that try
// something or look at a host, which there is not, ones that say what is planted.
func (l *life) programme(real *compliance.Programme) *compliance.Programme {
	p := &compliance.Programme{Catalogue: real.Catalogue}
	for _, check := range real.Checks {
		c := *check
		c.Every = l.cfg.Step
		if strings.HasPrefix(c.ID, "state.") && c.State != nil {
			c.State = l.look(c.ID, check.State)
		} else {
			c.State, c.Try = nil, l.stand(c.ID)
		}
		p.Checks = append(p.Checks, &c)
	}
	return p
}

// stand is a check's stand-in.
func (l *life) stand(check string) func(context.Context) ([]compliance.Result, error) {
	return func(context.Context) ([]compliance.Result, error) {
		if l.hung[check] {
			return nil, context.DeadlineExceeded // what the engine gets from one that hangs
		}
		r := compliance.Pass("Nothing is wrong in this simulation.")
		if wrong := l.host[check]; wrong != "" {
			r = compliance.Fail(wrong)
		}
		return []compliance.Result{r.Of("", "host", HostName)}, nil
	}
}

// HostName is the subject of what stands in for a look at the host.
const HostName = "the simulated host"

func (l *life) look(check string, state func(store.View, time.Time) ([]compliance.Result, error)) func(store.View, time.Time) ([]compliance.Result, error) {
	return func(v store.View, now time.Time) ([]compliance.Result, error) {
		if l.hung[check] {
			return nil, context.DeadlineExceeded
		}
		return state(v, now)
	}
}

// start begins a program that runs the checks, as after a restart.
func (l *life) start() {
	l.engine = compliance.New(compliance.Config{Store: l.Store, Kernel: l.Kernel, Programme: l.looking, Log: quiet, Now: l.Now})
}

// resume starts the checks again after an outage.
func (l *life) resume() error {
	l.start()
	return l.engine.Resume(l.ctx)
}

// finding gives the finding of a check about a subject that is not closed.
func (l *life) finding(check, name string) (out *document.Finding, err error) {
	err = l.Store.Read(l.ctx, func(v store.View) error {
		list, err := store.Find[*document.Finding](v, "check", check)
		for _, f := range list {
			if f.Name == name && f.State != document.FindingClosed {
				out = f
			}
		}
		return err
	})
	return out, err
}
