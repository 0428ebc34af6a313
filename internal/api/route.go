package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
)

// Route is one line of the API's table.
type Route struct {
	Method string
	Path   string // as Heroku documents it: /apps/{app}/releases/{release}
	// Need is what it takes. Where the path names an app, a space or a team,
	// a caller who may not even see that is refused before the handler runs.
	// A handler that reads asks query for Need; one that executes a command
	// leaves it to the kernel, which asks for the same.
	Need authz.Permission
	// Action is what the ledger calls it; "" for a read of nothing sensitive.
	// Further actions of the same route are separated by spaces.
	Action string
	// Schema is the answer's name in Heroku's schema, "[]name" for a list; ""
	// where Heroku has none.
	Schema string
	// Password lets a caller log in with address and password instead of a
	// token.
	Password bool
	// Scope is what a token must be good for, if it differs from what method
	// and action say.
	Scope tokenScope

	handle func(*call) (Answer, error)
}

// pattern is the route's path as the mux knows it. Heroku has /teams/{team}/apps
// beside /teams/apps/{app}, which a pattern cannot tell apart.
func (r Route) pattern() string { return muxPath(r.Path) }

const (
	teamApps    = "/teams/apps/"
	teamAppsMux = "/team-apps/"
)

func muxPath(path string) string {
	if rest, ok := strings.CutPrefix(path, teamApps); ok {
		return teamAppsMux + rest
	}
	return path
}

// has tells whether the path names such a thing.
func (r Route) has(name string) bool { return strings.Contains(r.Path, "{"+name+"}") }

func (r Route) actions() []string { return strings.Fields(r.Action) }

// newMux registers the routes, and an answer for the methods that a path does
// not have.
func newMux(routes []Route, serve func(Route) http.HandlerFunc, other http.HandlerFunc) *http.ServeMux {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range routes {
		mux.HandleFunc(r.Method+" "+r.pattern(), serve(r))
		methods[r.pattern()] = append(methods[r.pattern()], r.Method)
	}
	for pattern, list := range methods {
		// One by one: a pattern for all methods would conflict with those that
		// are wider in path and narrower in method.
		for _, m := range []string{get, post, put, patch, remove, http.MethodOptions} {
			if !slices.Contains(list, m) {
				mux.HandleFunc(m+" "+pattern, otherMethod(list, other))
			}
		}
	}
	mux.HandleFunc("/", other)
	return mux
}

// otherMethod answers OPTIONS, and refuses what a path does not have.
func otherMethod(methods []string, other http.HandlerFunc) http.HandlerFunc {
	methods = append(slices.Clone(methods), http.MethodOptions)
	if slices.Contains(methods, get) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		other(w, r)
	}
}
