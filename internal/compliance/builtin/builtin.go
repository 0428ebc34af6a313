// Package builtin is the compliance programme that the program carries: the
// catalogue in catalog/, with every check that there is.
//
// Invariants: the catalogue names exactly these checks and plans none of them,
// or there is no programme. internal/server runs it and packs are made with it.
package builtin

import (
	"io/fs"

	"github.com/strongroom/strongroom/catalog"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/state"
)

// Programme brings both together. own are an installation's own controls and
// frameworks, in the folders controls and frameworks.
func Programme(own ...fs.FS) (*compliance.Programme, error) {
	c, err := compliance.Load(catalog.Files, append([]fs.FS{catalog.Files}, own...)...)
	if err != nil {
		return nil, err
	}
	return compliance.Join(c, state.All())
}
