package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Recover removes what builds left that a stop of the server broke off: their
// containers, their volumes, whose keys are gone, and their files. space is the
// one that builds use, and is used by nothing else. Caches are kept, except
// those that are unlocked: a build was using them, and may have left them half
// written. Call it before the first build.
func (b *Builder) Recover(ctx context.Context, space string, caches []string) error {
	o, err := b.driver.Observe(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range o.Tasks {
		if t.Space == space && t.Running {
			errs = append(errs, b.driver.StopTask(ctx, t.ID))
		}
	}
	for _, v := range o.Volumes {
		if v.Space == space && (v.Unlocked || !slices.Contains(caches, v.ID)) {
			b.config.Log.InfoContext(ctx, "removing what a build left", "volume", v.ID)
			errs = append(errs, b.discard(ctx, v.ID))
		}
	}
	files, err := filepath.Glob(filepath.Join(b.config.WorkDir, workPattern+"*"))
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(f))
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("remove what earlier builds left: %w", err)
	}
	return nil
}
