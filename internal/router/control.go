package router

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/edge/control"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxSnapshot bounds the JSON of a snapshot.
const maxSnapshot = 64 << 20

// controls returns the handler of the control socket.
func (r *router) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /snapshot", func(w http.ResponseWriter, req *http.Request) {
		var snapshot Snapshot
		err := control.Decode(w, req, maxSnapshot, &snapshot)
		if err == nil {
			err = r.replace(snapshot)
		}
		control.Reply(w, r.log, nil, err)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		control.Reply(w, r.log, r.status(), nil)
	})
	return mux
}

// replace puts a snapshot into force, or returns why it cannot be and leaves
// the one before.
func (r *router) replace(snapshot Snapshot) error {
	if snapshot.Space != r.cfg.Space {
		return fault.New(fault.Invalid, "the snapshot is of space %q, this router of %q", snapshot.Space, r.cfg.Space)
	}
	r.push.Lock()
	defer r.push.Unlock()
	backends := r.backends.prepare(snapshot)
	next, err := compile(snapshot, backends, r.hosts.Load())
	if err != nil {
		return err
	}
	r.backends.replace(backends, func() { r.hosts.Store(next) })
	r.resolver.Update(next.zone)
	r.clients.cut()
	r.once.Do(func() { close(r.ready) })
	r.log.Info("snapshot in force", "space", snapshot.Space, "hosts", len(snapshot.Hosts), "digest", next.digest)
	return nil
}

func (r *router) status() Status {
	status := Status{
		Space:       r.cfg.Space,
		Snapshot:    r.hosts.Load().digest,
		Connections: r.clients.open(),
		Handed:      r.clients.taken.Load(),
		Rejected:    r.clients.refused.Load() + r.handover.Rejected(),
		Untrusted:   r.clients.strange.Load(),
		Strangers:   r.strangers.list(func(host string) bool { return r.hosts.Load().find(host) != nil }),
		Requests:    r.proxy.requests.Load(),
		LogDropped:  r.access.lost(),
		Backends:    r.backends.status(),
	}
	return status
}
