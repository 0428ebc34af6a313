package image

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// withConfig returns the image of one layer with all that the recipe says.
func withConfig(r Recipe, date time.Time, b *blob, packages []Package) (v1.Image, error) {
	layer, err := partial.CompressedToLayer(b)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: date}, CreatedBy: "strongroom image build " + r.Name},
	})
	if err != nil {
		return nil, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Created, c.OS, c.Architecture = v1.Time{Time: date}, "linux", runtime.GOARCH
	c.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", r.UID, r.UID),
		WorkingDir:   r.WorkDir,
		Cmd:          r.Command,
		Env:          environ(r.Env),
		ExposedPorts: ports(r.Ports),
		Labels: map[string]string{
			labelRecipe:                            r.Name,
			labelRecipeDigest:                      r.Digest(),
			labelSuite:                             r.Suite,
			labelPackages:                          formatPackages(packages),
			"org.opencontainers.image.title":       "Strongroom " + r.Name,
			"org.opencontainers.image.description": r.Description,
			"org.opencontainers.image.created":     date.Format(time.RFC3339),
			"org.opencontainers.image.base.name":   "debian:" + r.Suite,
			"org.opencontainers.image.ref.name":    "strongroom/" + r.Name + ":" + r.Suite,
			"org.opencontainers.image.vendor":      "Strongroom",
		},
	}
	return mutate.ConfigFile(img, c)
}

func environ(env map[string]string) []string {
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

func ports(list []int) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	set := map[string]struct{}{}
	for _, p := range list {
		set[fmt.Sprintf("%d/tcp", p)] = struct{}{}
	}
	return set
}
