package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/build"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// WebPort is the PORT that web dynos are told to listen on.
const WebPort = 5000

// AppUID is the user that apps run as in their containers.
const AppUID = 1000

// Processes makes the containers of apps' processes: dynos, one-off dynos,
// release phases. It opens config vars, for releases that are on record.
type Processes struct {
	Store   store.Store
	Keyring *secret.Keyring
}

// Dyno is what a process of an app is made of.
type Dyno struct {
	App     *document.App
	Release *document.Release
	Space   *document.Space
	Command string
	Type    string
	Size    string
	Env     []driver.EnvVar // wins over config vars
}

// Process gives the container of a dyno.
func (p *Processes) Process(ctx context.Context, d Dyno) (driver.Process, error) {
	size, err := document.SizeByName(d.Size)
	if err != nil {
		return driver.Process{}, err
	}
	env, err := p.env(ctx, d)
	if err != nil {
		return driver.Process{}, err
	}
	out := driver.Process{
		Image: d.Release.Image, Args: build.Launch(d.Command), Env: env, Dir: "/app", UID: AppUID,
		Limits: driver.Limits{MemoryBytes: size.MemoryBytes, CPUMillis: size.CPUMillis, PIDs: size.PIDs}, ReadOnly: d.Type != "run",
	}
	if d.Type == "web" {
		out.Port = WebPort
	}
	return out, nil
}

// env is the config of the release, under what the platform sets.
func (p *Processes) env(ctx context.Context, d Dyno) ([]driver.EnvVar, error) {
	cfg, err := p.configAt(ctx, d.App.ID, d.Release.ConfigRev)
	if err != nil {
		return nil, err
	}
	values, err := config.Open(ctx, p.Keyring, cfg)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for name, v := range values {
		env[name] = string(v.Reveal())
	}
	env["HOME"] = "/app"
	env["STRONGROOM_APP"] = d.App.Name
	env["STRONGROOM_RELEASE"] = fmt.Sprintf("v%d", d.Release.Version)
	// The space's own authority signs what its databases show.
	env["STRONGROOM_SPACE_CA"] = d.Space.CA
	if d.Type == "web" {
		env["PORT"] = fmt.Sprint(WebPort)
	}
	for _, e := range d.Env {
		env[e.Name] = e.Value
	}
	out := make([]driver.EnvVar, 0, len(env))
	for name, value := range env {
		out = append(out, driver.EnvVar{Name: name, Value: value})
	}
	slices.SortFunc(out, func(a, b driver.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// configAt reads an app's config as it was at a revision: a rollback runs with
// the config of its time.
func (p *Processes) configAt(ctx context.Context, app string, rev int64) (*document.Config, error) {
	var cfg *document.Config
	var now int64
	if err := p.Store.Read(ctx, func(v store.View) (err error) {
		if cfg, err = store.Get[*document.Config](v, app); err != nil {
			return err
		}
		now, _, err = v.Rev(document.KindConfig, app)
		return err
	}); err != nil || now == rev {
		return cfg, err
	}
	history, err := p.Store.History(ctx, document.KindConfig, app)
	if err != nil {
		return nil, err
	}
	if rev < 1 || rev > int64(len(history)) {
		return nil, fault.New(fault.NotFound, "The config of that release is not known.")
	}
	err = p.Store.At(ctx, history[rev-1]+1, func(v store.View) (err error) {
		cfg, err = store.Get[*document.Config](v, app)
		return err
	})
	return cfg, err
}

// Peers are what an app's processes may connect to, of what is not open to the
// whole space: the add-ons attached to it and, where apps of the space need
// links, its own formations and those of the apps that it is linked to.
func Peers(s *document.Space, app string, attached []*document.Attachment, formations []*document.Formation) []string {
	var out []string
	for _, a := range attached {
		out = append(out, a.Addon)
	}
	if s.Linked {
		reached := map[string]bool{app: true}
		for _, l := range s.Links {
			reached[l.To] = reached[l.To] || l.From == app
		}
		for _, f := range formations {
			if f.Space == s.ID && reached[f.App] {
				out = append(out, f.ID)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// PeersOf reads what Peers needs.
func PeersOf(v store.View, s *document.Space, app string) ([]string, error) {
	attached, err := store.Find[*document.Attachment](v, "app", app)
	if err != nil {
		return nil, err
	}
	var formations []*document.Formation
	if s.Linked {
		if formations, err = store.Find[*document.Formation](v, "all", ""); err != nil {
			return nil, err
		}
	}
	return Peers(s, app, attached, formations), nil
}
