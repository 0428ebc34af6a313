package server

import (
	"time"

	"github.com/strongroom/strongroom/catalog"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/state"
)

// newProgramme reads the catalogue that the program carries and brings it
// together with the checks that there are.
func newProgramme() (*compliance.Programme, error) {
	c, err := compliance.Load(catalog.Files, catalog.Files)
	if err != nil {
		return nil, err
	}
	return compliance.Join(c, state.All())
}

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
