package image

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Labels of the platform's images.
const (
	labelRecipe       = "dev.strongroom.recipe"
	labelRecipeDigest = "dev.strongroom.recipe.digest"
	labelSuite        = "dev.strongroom.suite"
	labelPackages     = "dev.strongroom.packages"
)

// Info is what an image says of itself.
type Info struct {
	Digest       string // of its manifest
	Recipe       string // name of the recipe of its base
	RecipeDigest string
	Suite        string
	Date         time.Time
	Packages     []Package
}

// ReadInfo reads an archive's image's own account of itself.
func ReadInfo(name string) (Info, error) {
	a, err := Open(name)
	if err != nil {
		return Info{}, err
	}
	defer a.Close()
	return a.Info()
}

// Info reads the image's own account of itself.
func (a *Archive) Info() (Info, error) {
	img, err := a.Image()
	if err != nil {
		return Info{}, err
	}
	return infoOf(img)
}

func infoOf(img v1.Image) (Info, error) {
	digest, err := img.Digest()
	if err != nil {
		return Info{}, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return Info{}, err
	}
	return Info{
		Digest:       digest.String(),
		Recipe:       c.Config.Labels[labelRecipe],
		RecipeDigest: c.Config.Labels[labelRecipeDigest],
		Suite:        c.Config.Labels[labelSuite],
		Date:         c.Created.Time,
		Packages:     parsePackages(c.Config.Labels[labelPackages]),
	}, nil
}
