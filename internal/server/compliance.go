package server

import (
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/compliance/record"
	"github.com/strongroom/strongroom/internal/fault"
)

// newProgramme is the program's, with the operator's own catalogue if there is
// a directory of one.
func newProgramme(reach builtin.Reach, own string) (*compliance.Programme, error) {
	if own == "" {
		return builtin.Programme(reach)
	}
	if info, err := os.Stat(own); err != nil || !info.IsDir() {
		return nil, fault.New(fault.Invalid, "catalogue: %q is not a directory", own)
	}
	return builtin.Programme(reach, os.DirFS(own))
}

// reach is what checks look at outside of the state.
func (p *parts) reach() builtin.Reach {
	return builtin.Reach{
		Attempts: newAttempts(p),
		Host: host.Config{
			Engine: p.driver, Store: p.store, Clock: host.KernelClock, Listeners: host.KernelListeners, Installed: p.installed,
			Declared: append([]string{p.cfg.API, p.cfg.Rendezvous, p.cfg.Bastion, p.cfg.EdgeHTTPS, p.cfg.EdgeHTTP}, p.cfg.Listeners...),
		},
		Record: record.Means{Store: p.store, Checkpoints: p.checkpoints, Outside: p.outside, Now: time.Now},
	}
}

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
