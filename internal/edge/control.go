package edge

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"

	"github.com/strongroom/strongroom/internal/edge/control"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxTable bounds the JSON of a table.
const maxTable = 16 << 20

// controls returns the handler of the control socket.
func (e *edge) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /table", func(w http.ResponseWriter, r *http.Request) {
		var table Table
		err := control.Decode(w, r, maxTable, &table)
		if err == nil {
			err = e.replace(table)
		}
		control.Reply(w, e.log, nil, err)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		control.Reply(w, e.log, e.status(), nil)
	})
	return mux
}

// replace puts a table into force and keeps it. A table that cannot be kept is
// in force all the same (it may have withdrawn a trust); the caller is told, and
// an older one is not left to come back at the next start.
func (e *edge) replace(table Table) error {
	e.push.Lock()
	defer e.push.Unlock()
	if err := e.install(table); err != nil {
		return err
	}
	if e.cfg.TableFile == "" {
		return nil
	}
	err := keep(e.cfg.TableFile, table)
	if err == nil {
		return nil
	}
	if removed := os.Remove(e.cfg.TableFile); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return fault.Wrap(fault.Unavailable, err, "the table is in force but could not be kept for a restart")
}

func (e *edge) install(table Table) error {
	old := e.routes.Load()
	routes, err := compile(table, old)
	if err != nil {
		return err
	}
	e.routes.Store(routes)
	old.closeLinks(routes)
	e.log.Info("table in force", "spaces", len(routes.spaces), "digest", routes.digest)
	return nil
}

// recall puts the kept table into force. Without one the edge serves nobody
// until a table is pushed.
func (e *edge) recall() {
	if e.cfg.TableFile == "" {
		return
	}
	table, err := load(e.cfg.TableFile)
	if err == nil {
		err = e.install(table)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.log.Error("the kept table is unusable; waiting for a new one", "err", err)
	}
}

// keep writes the table beside its file and renames it, so that a crash leaves
// the old or the new one. It lies on a tmpfs: there is nothing to sync.
func keep(path string, table Table) error {
	encoded, err := json.Marshal(table)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", encoded, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func load(path string) (Table, error) {
	var table Table
	encoded, err := os.ReadFile(path)
	if err != nil {
		return table, err
	}
	return table, json.Unmarshal(encoded, &table)
}

func (e *edge) status() Status {
	routes := e.routes.Load()
	status := Status{
		Table:       routes.digest,
		Handshaking: e.admission.unfinished(),
		Accepted:    e.count.accepted.Load(),
		Handed:      e.count.handed.Load(),
		Redirected:  e.count.redirected.Load(),
		Refused:     e.count.reasonsSeen(),
		Spaces:      make(map[string]SpaceStatus, len(routes.spaces)),
	}
	for id, space := range routes.spaces {
		status.Spaces[id] = SpaceStatus{Handed: space.count.handed.Load(), Refused: space.count.reasonsSeen()}
	}
	return status
}
