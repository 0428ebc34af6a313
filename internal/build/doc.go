// Package build turns an app's source into the image that its dynos run.
//
// Source is a commit's tar stream, from git (package build/git receives
// pushes) or from a caller's tarball. It is checked before anything runs:
// bounds, links that leave the tree, Procfile, app.json, package.json. Then a
// build container in the app's own space runs classic buildpacks over it; what
// they leave in /app becomes one layer on the base image. Every build has a
// bill of materials and a provenance statement signed by the platform.
//
// Invariants: nothing of a source runs outside its build container; config
// vars reach the container as files and never the image, the log or the
// provenance; what a build may read, write, print and last is bounded; the
// scratch volume is destroyed whatever happens. The operations of
// internal/operation call Builder; nothing here writes to the ledger.
package build
