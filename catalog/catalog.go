// Package catalog holds the controls and the frameworks that they answer to, as
// data: a file for each control in controls/, a file for each framework in
// frameworks/, and the schemas that both follow. internal/compliance reads and
// checks them; docs/howto/add-a-control.md and add-a-framework.md say how to add
// one.
package catalog

import "embed"

// Files is the catalogue that the program carries.
//
//go:embed controls/*.json frameworks/*.json *.schema.json
var Files embed.FS
