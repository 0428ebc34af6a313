package host

import (
	"context"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Installed are digests of what is installed.
type Installed struct {
	Program  string
	Settings string // all but secrets
}

// binary: the platform's processes run the program that is installed, and that
// program and its settings are those of the last start on record.
func binary(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.binary", Title: "The program and the settings are those that were on record when the server started", Version: 1,
		Every: seldom, Reads: []string{"installation.start"}, Try: func(ctx context.Context) ([]compliance.Result, error) {
			out, err := c.survey(driver.AreaPrograms)(ctx)
			if err != nil {
				return nil, err
			}
			now, err := c.Installed()
			if err != nil {
				return nil, err
			}
			var i *document.Installation
			if err := c.Store.Read(ctx, func(v store.View) (err error) {
				i, err = store.One[*document.Installation](v, "all", "")
				return err
			}); err != nil {
				return nil, err
			}
			if i.Program == "" {
				return nil, fault.New(fault.Unavailable, "No start of the server is on record yet.")
			}
			return append(out, now.judge(i).Of("", "installed", "the installed program and its settings")), nil
		},
	}
}

func (now Installed) judge(i *document.Installation) compliance.Result {
	var wrong []string
	if now.Program != i.Program {
		wrong = append(wrong, "The program on disk has the digest "+now.Program+", and the server started with "+i.Program+".")
	}
	if now.Settings != i.Settings {
		wrong = append(wrong, "The settings have the digest "+now.Settings+", and the server started with "+i.Settings+".")
	}
	if len(wrong) > 0 {
		return compliance.Fail(wrong...)
	}
	return compliance.Pass("Looked at: the program, digest " + now.Program + ", and the settings, digest " + now.Settings + ". Both are those of the last start on record.")
}
