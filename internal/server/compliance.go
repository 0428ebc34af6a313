package server

import (
	"io/fs"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/fault"
)

// newProgramme is the program's, with the operator's own catalogue if there is
// a directory of one.
func newProgramme(p *parts) (*compliance.Programme, error) {
	var own []fs.FS
	if dir := p.cfg.Catalogue; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fault.New(fault.Invalid, "catalogue: %q is not a directory", dir)
		}
		own = append(own, os.DirFS(dir))
	}
	return builtin.Programme(builtin.Reach{Attempts: newAttempts(p)}, own...)
}

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
