package server

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
)

// newCompliance runs the programme's checks.
func newCompliance(p *parts) *compliance.Engine {
	return compliance.New(compliance.Config{Store: p.store, Kernel: p.kernel, Programme: p.programme, Log: p.log, Now: time.Now})
}
