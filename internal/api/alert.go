package api

import (
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/view"
)

// listAlerts lists where the findings are sent to that the caller reads in full.
func listAlerts(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]*document.Alert, error) { return q.Alerts(c.r.URL.Query().Get("scope")) },
		func(_ *query.Reader, a *document.Alert) (view.Alert, error) { return view.OfAlert(a), nil },
		property[view.Alert]{name: "id", text: func(a view.Alert) string { return a.ID }})
}

func addAlert(c *call) (Answer, error) {
	var in struct {
		Channel  string `json:"channel"`
		To       string `json:"to"`
		Severity string `json:"severity"`
		Team     string `json:"team"`
		Space    string `json:"space"`
		Secret   string `json:"secret"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &alerts.Add{
		Channel: in.Channel, To: secret.NewValue([]byte(in.To)), Severity: in.Severity, Team: in.Team, Space: in.Space, Secret: secret.NewValue([]byte(in.Secret)),
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfAlert(cmd.Alert), nil)
}

func removeAlert(c *call) (Answer, error) {
	cmd := &alerts.Remove{ID: c.path("alert")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfAlert(cmd.Alert), nil)
}

// testAlert asks for a message; tested_at tells when it came to an end.
func testAlert(c *call) (Answer, error) {
	if err := c.body(&struct{}{}); err != nil {
		return Answer{}, err
	}
	cmd := &alerts.Test{ID: c.path("alert")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return accepted(view.OfAlert(cmd.Alert), nil)
}
