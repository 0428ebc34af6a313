package api

import (
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/fault"
)

// tokenScope is what a token must be good for to use a route. The names are
// those of Heroku's OAuth scopes, and so are their meanings.
type tokenScope string

const (
	scopeIdentity       tokenScope = "identity"        // who am I
	scopeRead           tokenScope = "read"            // read, but no secrets
	scopeReadProtected  tokenScope = "read-protected"  // read, secrets too
	scopeWrite          tokenScope = "write"           // change, but no secrets
	scopeWriteProtected tokenScope = "write-protected" // change, secrets too
	scopeGlobal         tokenScope = "global"          // everything, the account itself too
)

// included lists which scopes of a token are enough for a route's.
var included = map[tokenScope][]tokenScope{
	scopeIdentity:       {scopeIdentity, scopeRead, scopeReadProtected, scopeWrite, scopeWriteProtected, scopeGlobal},
	scopeRead:           {scopeRead, scopeReadProtected, scopeWrite, scopeWriteProtected, scopeGlobal},
	scopeReadProtected:  {scopeReadProtected, scopeWriteProtected, scopeGlobal},
	scopeWrite:          {scopeWrite, scopeWriteProtected, scopeGlobal},
	scopeWriteProtected: {scopeWriteProtected, scopeGlobal},
	scopeGlobal:         {scopeGlobal},
}

// scope that a token needs for the route.
func (r Route) scope() tokenScope {
	switch {
	case r.Scope != "":
		return r.Scope
	case r.Method == http.MethodGet && r.Action == "":
		return scopeRead
	case r.Method == http.MethodGet:
		return scopeReadProtected
	}
	return scopeWrite
}

func (s tokenScope) coveredBy(held []string) bool {
	return slices.ContainsFunc(included[s], func(enough tokenScope) bool {
		return slices.Contains(held, string(enough))
	})
}

// checkScopes refuses scopes that nobody knows: a token with a misspelt one
// would do less than its maker thinks, or more one day.
func checkScopes(scopes []string) error {
	for _, s := range scopes {
		if _, ok := included[tokenScope(s)]; !ok {
			return fault.New(fault.Invalid, "No such scope as %.32q. Scopes are global, identity, read, write, read-protected and write-protected.", s)
		}
	}
	return nil
}
