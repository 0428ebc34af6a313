package server

import (
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/fault"
)

// newProgramme is the program's, with the operator's own catalogue if there is
// a directory of one.
func newProgramme(own string) (*compliance.Programme, error) {
	if own == "" {
		return builtin.Programme()
	}
	if info, err := os.Stat(own); err != nil || !info.IsDir() {
		return nil, fault.New(fault.Invalid, "catalogue: %q is not a directory", own)
	}
	return builtin.Programme(os.DirFS(own))
}

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
