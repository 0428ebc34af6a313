package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// Config is what an app's image adds to its base's configuration.
type Config struct {
	Ref     string            // name in the archive's index
	Labels  map[string]string // added to the base's
	Env     []string          // appended to the base's
	WorkDir string            // "" = the base's
	Command []string          // nil = the base's
	Author  string            // of the layer, in the image's history
	Date    time.Time
}

// Append writes to out the archive of an image: the one in the archive base,
// one more layer that fill writes as tar, and c. It returns the image's
// manifest digest. The same input gives the same bytes.
func Append(ctx context.Context, base, out string, c Config, fill func(io.Writer) error) (digest string, err error) {
	a, err := Open(base)
	if err != nil {
		return "", err
	}
	defer a.Close()
	work, err := os.MkdirTemp(filepath.Dir(out), ".layer-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	b, err := compressLayer(filepath.Join(work, "layer.tar.gz"), fill)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	img, err := extend(a, b, c)
	if err != nil {
		return "", fmt.Errorf("append layer: %w", err)
	}
	if err := writeFile(out, img, c.Ref); err != nil {
		return "", err
	}
	h, err := img.Digest()
	return h.String(), err
}

func extend(a *Archive, b *blob, c Config) (v1.Image, error) {
	base, err := a.Image()
	if err != nil {
		return nil, err
	}
	layer, err := partial.CompressedToLayer(b)
	if err != nil {
		return nil, err
	}
	date := v1.Time{Time: c.Date.UTC()}
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: date, CreatedBy: c.Author}})
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Created = date
	file.Config.Env = append(file.Config.Env, c.Env...)
	file.Config.Labels = merge(file.Config.Labels, c.Labels)
	file.Config.Labels["org.opencontainers.image.base.digest"] = a.Digest()
	if c.WorkDir != "" {
		file.Config.WorkingDir = c.WorkDir
	}
	if c.Command != nil {
		file.Config.Cmd = c.Command
	}
	return mutate.ConfigFile(img, file)
}
