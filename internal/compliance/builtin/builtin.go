// Package builtin is the compliance programme that the program carries: the
// catalogue in catalog/, with every check that there is.
//
// Invariants: the catalogue names exactly these checks and plans none of them,
// and names no report that packs do not have, or there is no programme.
// internal/server runs it and packs are made with it.
package builtin

import (
	"io/fs"
	"slices"

	"github.com/strongroom/strongroom/catalog"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/attempt"
	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/compliance/record"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/evidence"
)

// Reach is what the checks reach out to besides the state. Without it they are
// there by name, for those who read what checks said, and cannot run.
type Reach struct {
	Attempts attempt.Config
	Host     host.Config
	Record   record.Means
}

// Programme brings both together. own are an installation's own controls and
// frameworks, in the folders controls and frameworks.
func Programme(reach Reach, own ...fs.FS) (*compliance.Programme, error) {
	c, err := compliance.Load(catalog.Files, append([]fs.FS{catalog.Files}, own...)...)
	if err != nil {
		return nil, err
	}
	if err := evidence.Fit(c); err != nil {
		return nil, err
	}
	return compliance.Join(c, slices.Concat(state.All(), attempt.All(reach.Attempts), host.All(reach.Host), record.All(reach.Record)))
}
