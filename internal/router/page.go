package router

import (
	"html/template"
	"io"
	"net/http"
)

// page is what a person sees instead of the app. It loads nothing from anywhere.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222}h1{font-size:1.4rem}small{color:#666}</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
<p><small>Request {{.Request}}</small></p>
</body>
</html>
`))

type pageContent struct{ Title, Text, Request string }

// writePage answers with the page of an error code.
func writePage(w http.ResponseWriter, c code, requestID string) {
	content := pageContent{
		Title:   "Application error",
		Text:    "The application could not answer. If it is yours, its logs say why.",
		Request: requestID,
	}
	switch c {
	case codeMaintenance:
		content.Title, content.Text = "Offline for maintenance", "This application is undergoing maintenance. Please check back later."
	case codeMisdirected:
		content.Title, content.Text = "Misdirected request", "This connection was made for another host name."
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(c.status)
	render(w, content)
}

func render(w io.Writer, content pageContent) {
	// The only possible error is the client's having gone.
	_ = page.Execute(w, content)
}
