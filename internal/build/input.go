package build

import (
	"io"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// Input is one build.
type Input struct {
	BuildID   string // UUID; also the id of the task and the scratch volume
	App       string // UUID
	AppName   string
	Space     string    // whose network the build uses
	Commit    string    // git commit id, or the caller's version of a tarball
	Source    io.Reader // tar or tar.gz of the tree
	SourceURI string    // where it came from, for the provenance; without credentials
	// Buildpacks in order: a built-in's name ("heroku/nodejs"), a directory
	// name under Config.BuildpackDir, or an https URL of a git repository with
	// an optional #branch-or-tag. Empty: the first built-in that detects.
	Buildpacks []string
	// Env are the app's config vars. Buildpacks see them in their ENV_DIR.
	Env []driver.EnvVar
	// CacheVolume is the id of an unlocked volume of the app that survives
	// builds; "" builds without a cache, and so does one that cannot be used.
	CacheVolume string
}

// ProcessType is a line of the Procfile.
type ProcessType struct {
	Type    string `json:"type"`
	Command string `json:"command"`
}

// Result is a finished build.
type Result struct {
	Image        string            `json:"image"`         // manifest digest, imported into the driver
	ProcessTypes []ProcessType     `json:"process_types"` // by type; without release
	Release      string            `json:"release"`       // command of the release phase, "" = none
	Buildpacks   []BuildpackUsed   `json:"buildpacks"`
	ConfigVars   map[string]string `json:"config_vars"` // defaults that buildpacks and app.json state; not set, which the output says
	Formation    map[string]Scale  `json:"formation"`   // from app.json; not taken over, which the output says
	Stack        string            `json:"stack"`
	SlugBytes    int64             `json:"slug_bytes"`  // of /app, unpacked
	SlugDigest   string            `json:"slug_digest"` // of the layer's tar
	Source       string            `json:"source"`      // digest of the source as received
	Log          string            `json:"log"`         // digest of all that was written to out
	SBOM         []byte            `json:"sbom"`        // CycloneDX JSON: the app's dependencies and the base's packages
	Provenance   []byte            `json:"provenance"`  // DSSE envelope of an in-toto statement, SLSA v1
	Started      time.Time         `json:"started"`
	Finished     time.Time         `json:"finished"`
}

// BuildpackUsed says which buildpack took part, exactly.
type BuildpackUsed struct {
	Name   string `json:"name"`   // as given, or the built-in's name
	URL    string `json:"url"`    // of a git buildpack
	Commit string `json:"commit"` // of a git buildpack
	Digest string `json:"digest"` // of a built-in's or a directory's files
}

// Scale is what app.json wants of a process type.
type Scale struct {
	Quantity int    `json:"quantity"`
	Size     string `json:"size"`
}

// Launch returns the arguments of a process that runs an app's command on the
// base image as a dyno does: with the profile scripts of its buildpacks.
func Launch(command string) []string { return []string{"/usr/local/bin/launch", command} }
