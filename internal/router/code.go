package router

import "net/http"

// code is one of Heroku's error codes, with the words and levels its router
// logs, so that people's dashboards and alerts go on working.
type code struct {
	name   string // "" is success
	level  string
	desc   string
	status int
}

var (
	codeNone        = code{level: "info"}
	codeCrashed     = code{"H10", "error", "App crashed", http.StatusServiceUnavailable}
	codeTimeout     = code{"H12", "error", "Request timeout", http.StatusServiceUnavailable}
	codeNoResponse  = code{"H13", "error", "Connection closed without response", http.StatusServiceUnavailable}
	codeNoProcesses = code{"H14", "error", "No web processes running", http.StatusServiceUnavailable}
	codeIdle        = code{"H15", "error", "Idle connection", http.StatusServiceUnavailable}
	codePoorly      = code{"H17", "error", "Poorly formed HTTP response", http.StatusServiceUnavailable}
	codeInterrupted = code{"H18", "error", "Server Request Interrupted", http.StatusServiceUnavailable}
	codeConnectSlow = code{"H19", "error", "Backend connection timeout", http.StatusServiceUnavailable}
	codeRefused     = code{"H21", "error", "Backend connection refused", http.StatusServiceUnavailable}
	codeClientGone  = code{"H27", "warning", "Client Request Interrupted", statusClientGone}
	codeClientIdle  = code{"H28", "warning", "Client Connection Idle", statusClientGone}
	codeMisdirected = code{"H31", "error", "Misdirected Request", http.StatusMisdirectedRequest}
	codeMaintenance = code{"H80", "info", "Maintenance mode", http.StatusServiceUnavailable}
	codePlatform    = code{"H99", "error", "Platform error", http.StatusInternalServerError}
)

// statusClientGone is logged when there is nobody to send a status to.
const statusClientGone = 499
