package view

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
)

// Database is what `heroku pg:info` shows (GET /client/v11/databases/{id}; not
// in Heroku's schema). It has no resource_url: that would be a credential.
type Database struct {
	AddonID       string  `json:"addon_id"`
	Name          string  `json:"name"`
	DatabaseName  string  `json:"database_name"`
	Plan          string  `json:"plan"`
	CreatedAt     Time    `json:"created_at"`
	Version       string  `json:"postgres_version"`
	Following     *string `json:"following"`
	Info          []Info  `json:"info"`
	StatusUpdated Time    `json:"status_updated_at"`
	Waiting       bool    `json:"waiting?"`
}

// Info is one line of pg:info.
type Info struct {
	Name          string   `json:"name"`
	Values        []string `json:"values"`
	ResolveDBName bool     `json:"resolve_db_name,omitempty"`
}

// OfDatabase shows a Postgres add-on of the plan.
func OfDatabase(a *document.Addon, plan PlanInfo) Database {
	out := Database{
		AddonID: a.ID, Name: a.Name, DatabaseName: a.Name, Plan: plan.Name, CreatedAt: Time(a.CreatedAt),
		Version: a.Version, StatusUpdated: Time(a.UpdatedAt), Waiting: a.State == document.AddonProvisioning,
	}
	line := func(name string, values ...string) {
		out.Info = append(out.Info, Info{Name: name, Values: values})
	}
	line("Plan", plan.Human)
	line("Status", databaseStatus(a))
	line("PG Version", a.Version)
	line("Created", a.CreatedAt.UTC().Format("2006-01-02 15:04 UTC"))
	if a.Bytes > 0 {
		line("Storage", fmt.Sprintf("%.1f GB, encrypted with a key of its own", float64(a.Bytes)/(1<<30)))
	}
	line("Credentials", fmt.Sprint(len(a.Roles)))
	line("Holds ePHI", a.EPHI)
	return out
}

// WithDisk adds how full the disk is.
func (d Database) WithDisk(used, size int64) Database {
	if size <= 0 {
		return d
	}
	const gib = 1 << 30
	text := fmt.Sprintf("%.2f of %.2f GB used (%d%%)", float64(used)/gib, float64(size)/gib, used*100/size)
	switch left := size - used; {
	case left < size/100:
		text += ", full: what needs room is refused until something is deleted"
	case left < size/6:
		text += ", nearly full: what needs room will be refused"
	}
	d.Info = append(slices.Clone(d.Info), Info{Name: "Disk", Values: []string{text}})
	return d
}

// DatabaseStats is what a database says of itself.
type DatabaseStats struct {
	Bytes       int64
	Tables      int
	Connections int
}

// WithStats adds what the database says of itself.
func (d Database) WithStats(s DatabaseStats) Database {
	d.Info = append(slices.Clone(d.Info),
		Info{Name: "Data Size", Values: []string{fmt.Sprintf("%.2f MB", float64(s.Bytes)/(1<<20))}},
		Info{Name: "Tables", Values: []string{fmt.Sprint(s.Tables)}},
		Info{Name: "Connections", Values: []string{fmt.Sprint(s.Connections)}})
	return d
}

func databaseStatus(a *document.Addon) string {
	switch a.State {
	case document.AddonProvisioned:
		return "Available"
	case document.AddonProvisioning:
		return "Preparing"
	}
	return a.State
}

// WaitStatus is what `heroku pg:wait` polls.
type WaitStatus struct {
	Waiting bool   `json:"waiting?"`
	Error   bool   `json:"error?"`
	Message string `json:"message"`
}

// OfWaitStatus tells whether a database is ready yet.
func OfWaitStatus(a *document.Addon) WaitStatus {
	switch a.State {
	case document.AddonProvisioned:
		return WaitStatus{Message: "available"}
	case document.AddonProvisioning:
		if a.Message != "" {
			return WaitStatus{Error: true, Message: a.Message}
		}
		return WaitStatus{Waiting: true, Message: "preparing"}
	}
	return WaitStatus{Error: true, Message: a.State}
}

// DatabaseCredential is a role of a database (GET
// /postgres/v0/databases/{id}/credentials; not in Heroku's schema). Host, port
// and passwords are there only where one credential was asked for.
type DatabaseCredential struct {
	UUID        string         `json:"uuid"`
	Name        string         `json:"name"`
	State       string         `json:"state"`
	Database    string         `json:"database"`
	Host        string         `json:"host,omitempty"`
	Port        int            `json:"port,omitempty"`
	Credentials []DatabaseUser `json:"credentials"`
}

// DatabaseUser is one log-in of a credential.
type DatabaseUser struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
	State    string `json:"state"`
}

// OfCredential shows a credential without its password.
func OfCredential(a *document.Addon, c document.Credential) DatabaseCredential {
	return DatabaseCredential{
		UUID: BuiltIn("credential", a.ID+"/"+c.Name), Name: c.Name, State: "active", Database: c.Database,
		Credentials: []DatabaseUser{{User: c.User, State: "active"}},
	}
}

// Reveal adds what it takes to connect. The caller recorded the read.
func (d DatabaseCredential) Reveal(host string, port int, password string) DatabaseCredential {
	d.Host, d.Port = host, port
	users := append([]DatabaseUser(nil), d.Credentials...)
	for i := range users {
		users[i].Password = password
	}
	d.Credentials = users
	return d
}
