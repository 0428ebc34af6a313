package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/images"
	"github.com/strongroom/strongroom/internal/image"
)

func newImagesBuild(s streams) *cobra.Command {
	var config string
	var force bool
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "images:build", GroupID: "run",
		Short: "Build the platform's own images",
		Long: `Builds the base, build and postgres images from the distribution's signed
packages into the installation's image directory. What is there already from
the same recipe is kept. The server gives them to the engine at its next start.`,
		Example: `  strongroom images:build
  strongroom images:build --force   # take the distribution's newest packages`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readSettings(config, newLog(s.err))
			if err != nil {
				return err
			}
			dir := cfg.Server.Images
			if dir == "" {
				dir = filepath.Join(cfg.Data, "images")
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			steps := s.out
			if o.json {
				steps = s.err
			}
			digests := map[string]string{}
			for _, name := range []string{"base", "build", "postgres"} {
				fmt.Fprintf(steps, "-----> image %s\n", name)
				archive := filepath.Join(dir, name+".tar")
				info, err := image.Build(c.Context(), images.Recipes, name, archive, image.Options{Force: force}, s.err)
				if err != nil {
					return err
				}
				// The server reads it, as its own user; there is no secret in it.
				if err := os.Chmod(archive, 0o644); err != nil {
					return err
				}
				fmt.Fprintf(steps, "       %s\n", info.Digest)
				digests[name] = info.Digest
			}
			return o.show(digests, func() {})
		},
	}
	c.Flags().StringVar(&config, "config", DefaultConfig, "the settings file")
	c.Flags().BoolVar(&force, "force", false, "build again although the recipe is the same")
	o.flag(c)
	return c
}
