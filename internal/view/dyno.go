package view

import (
	"github.com/strongroom/strongroom/internal/document"
)

// Formation is how many dynos of a type shall run (Heroku: formation).
type Formation struct {
	App       Ref    `json:"app"`
	Command   string `json:"command"`
	CreatedAt Time   `json:"created_at"`
	DynoSize  Ref    `json:"dyno_size"`
	ID        string `json:"id"`
	Quantity  int    `json:"quantity"`
	Size      string `json:"size"`
	Type      string `json:"type"`
	UpdatedAt Time   `json:"updated_at"`
}

// OfFormation shows a formation of the app.
func OfFormation(f *document.Formation, a *document.App) Formation {
	return Formation{
		App: Ref{a.ID, a.Name}, Command: f.Command, CreatedAt: Time(f.CreatedAt), DynoSize: builtIn("dyno-size", f.Size),
		ID: f.ID, Quantity: f.Quantity, Size: f.Size, Type: f.Type, UpdatedAt: Time(f.UpdatedAt),
	}
}

// Dyno is a running process (Heroku: dyno).
type Dyno struct {
	AttachURL *string `json:"attach_url"`
	Command   string  `json:"command"`
	CreatedAt Time    `json:"created_at"`
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Release   struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	} `json:"release"`
	App       Ref    `json:"app"`
	Size      string `json:"size"`
	State     string `json:"state"`
	Type      string `json:"type"`
	UpdatedAt Time   `json:"updated_at"`
}

// OfDyno shows a dyno of the app; r is the release it runs, nil if that is not
// known; attach is where its terminal waits, "" where it has none.
func OfDyno(d *document.Dyno, a *document.App, r *document.Release, attach string) Dyno {
	out := Dyno{
		AttachURL: text(attach), Command: d.Command, CreatedAt: Time(d.CreatedAt), ID: d.ID, Name: d.Name,
		App: Ref{a.ID, a.Name}, Size: d.Size, State: d.State, Type: d.Type, UpdatedAt: Time(d.UpdatedAt),
	}
	out.Release.ID, out.Release.Version = BuiltIn("release", a.ID), d.Release
	if r != nil {
		out.Release.ID = r.ID
	}
	return out
}

// Size is what a dyno size gives.
type Size struct {
	Name    string
	Memory  int64 // bytes
	Compute int   // shares, 1 = a small dyno's
}

// DynoSize is a size of dynos (Heroku: dyno-size).
type DynoSize struct {
	Architecture     string  `json:"architecture"`
	Compute          int     `json:"compute"`
	Cost             *Price  `json:"cost"`
	Dedicated        bool    `json:"dedicated"`
	PreciseDynoUnits float64 `json:"precise_dyno_units"`
	Generation       Ref     `json:"generation"`
	ID               string  `json:"id"`
	Memory           float64 `json:"memory"` // GB
	Name             string  `json:"name"`
	PrivateSpaceOnly bool    `json:"private_space_only"`
}

// OfSize shows a dyno size.
func OfSize(s Size, architecture string) DynoSize {
	return DynoSize{
		Architecture: architecture, Compute: s.Compute, PreciseDynoUnits: float64(s.Compute), Generation: generation(),
		ID: BuiltIn("dyno-size", s.Name), Memory: float64(s.Memory) / (1 << 30), Name: s.Name, PrivateSpaceOnly: true,
	}
}

// LogSession is where a log stream can be read (Heroku: log-session).
type LogSession struct {
	CreatedAt  Time   `json:"created_at"`
	ID         string `json:"id"`
	LogplexURL string `json:"logplex_url"`
	UpdatedAt  Time   `json:"updated_at"`
}
