package view

import "github.com/strongroom/strongroom/internal/document"

// Alert is where findings are sent to. Its secret and a webhook's whole
// address are in no answer.
type Alert struct {
	ID          string  `json:"id"`
	Channel     string  `json:"channel"`
	To          string  `json:"to"`
	Fingerprint string  `json:"fingerprint"` // of a webhook's whole address; "" = none
	Severity    string  `json:"severity"`
	Scope       string  `json:"scope"` // "" = the installation's and all
	AddedBy     string  `json:"added_by"`
	CreatedAt   Time    `json:"created_at"`
	State       string  `json:"state"`
	Since       Time    `json:"since"`
	Error       *string `json:"error"`
	TestedAt    *Time   `json:"tested_at"`
}

// OfAlert shows a channel.
func OfAlert(a *document.Alert) Alert {
	return Alert{
		ID: a.ID, Channel: a.Channel, To: a.To, Fingerprint: a.Fingerprint, Severity: a.Severity, Scope: a.Scope, AddedBy: a.ByEmail, CreatedAt: Time(a.CreatedAt),
		State: a.State, Since: Time(a.Since), Error: text(a.Error), TestedAt: maybe(a.TestedAt),
	}
}
