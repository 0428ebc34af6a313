// Package images holds the recipes of the platform's images as data: base,
// which apps run on, build, which they are built in, and postgres.
// internal/image makes archives from them; docs of the format are there.
package images

import "embed"

// Recipes has one directory a recipe.
//
//go:embed all:base all:build all:postgres
var Recipes embed.FS
