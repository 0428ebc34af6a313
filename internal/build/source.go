package build

import (
	"path"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/packref"
)

// plan is what the source says that it wants, checked before anything runs.
type plan struct {
	procfile   Procfile
	manifest   AppJSON
	buildpacks []packref.Ref
	detect     bool // buildpacks are those to ask, not those to use
	submodules bool
}

// sourceRules: a source's links stay inside it.
func (b *Builder) sourceRules() rules {
	return rules{
		what: "source", maxBytes: b.config.MaxSource, maxFiles: b.config.MaxFiles,
		outside: func(string) bool { return false },
	}
}

// slugRules: what buildpacks leave may link to what the base image has.
func (b *Builder) slugRules() rules {
	return rules{
		what: "slug", maxBytes: b.config.MaxSlug, maxFiles: b.config.MaxFiles,
		outside: func(target string) bool {
			return slices.ContainsFunc([]string{"/app", "/usr", "/bin", "/lib", "/lib64"}, func(dir string) bool {
				return target == dir || strings.HasPrefix(target, dir+"/")
			})
		},
	}
}

func newPlan(t *tree, wanted []string) (plan, error) {
	var p plan
	if len(t.entries) == 0 {
		return plan{}, fault.New(fault.Invalid, "The source is empty.")
	}
	var err error
	if p.procfile, err = procfileOf(t); err != nil {
		return plan{}, err
	}
	if raw, err := t.read("app.json", maxAppJSON); err != nil {
		return plan{}, err
	} else if raw != nil {
		if p.manifest, err = ParseAppJSON(raw); err != nil {
			return plan{}, err
		}
	}
	if raw, err := t.read("package.json", maxPackageJSON); err != nil {
		return plan{}, err
	} else if raw != nil {
		if err := CheckPackageJSON(raw); err != nil {
			return plan{}, err
		}
	}
	p.submodules = t.has(".gitmodules")
	return p, p.chooseBuildpacks(wanted)
}

func procfileOf(t *tree) (Procfile, error) {
	raw, err := t.read("Procfile", maxProcfile)
	if err != nil {
		return Procfile{}, err
	}
	if raw == nil {
		for _, e := range t.entries {
			if name := e.Header.Name; path.Dir(name) == "." && strings.EqualFold(name, "procfile") {
				return Procfile{}, fault.New(fault.Invalid, "The file %s must be called Procfile, with a capital P only.", name)
			}
		}
	}
	return ParseProcfile(raw)
}

// maxBuildpacks bounds what one build uses.
const maxBuildpacks = 20

// chooseBuildpacks takes those set on the app, else those of app.json, else
// the built-in ones to detect with.
func (p *plan) chooseBuildpacks(wanted []string) error {
	if len(wanted) == 0 {
		wanted = p.manifest.Buildpacks
	}
	if len(wanted) == 0 {
		wanted, p.detect = packref.BuiltIns(), true
	}
	if len(wanted) > maxBuildpacks {
		return fault.New(fault.TooLarge, "The app has more than %d buildpacks.", maxBuildpacks)
	}
	for _, name := range wanted {
		ref, err := packref.Parse(name)
		if err != nil {
			return err
		}
		p.buildpacks = append(p.buildpacks, ref)
	}
	return nil
}
