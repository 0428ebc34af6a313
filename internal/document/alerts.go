package document

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// KindAlert is that of the channels by which findings reach people.
const KindAlert Kind = "alert"

// Channels of alerts.
const (
	AlertWebhook = "webhook"
	AlertEmail   = "email"
)

// What is known of a channel.
const (
	AlertUntried   = "untried"
	AlertDelivered = "delivered"
	AlertFailing   = "failing"
)

// Alert is where findings are sent to as they change.
type Alert struct {
	Base
	// Scope is the space or the team, with its spaces, whose findings are sent;
	// "" = all of the installation.
	Scope    string `json:"scope"`
	Channel  string `json:"channel"`
	To       string `json:"to"`       // where mail goes; of a webhook what ShowWebhook tells
	Severity string `json:"severity"` // the least that is sent
	// Of a webhook: its whole address, whose path may be all that keeps others from
	// writing there; what tells it from another; and what signs its messages.
	Address     *Sealed `json:"address"`
	Fingerprint string  `json:"fingerprint"`
	Secret      *Sealed `json:"secret"`
	ByEmail     string  `json:"by_email"` // who added it
	// State and why are on record as they change, not with each message.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	Error string    `json:"error"` // of the first message that was not taken
	// TestedAt is when a test message last came to an end, either way.
	TestedAt *time.Time `json:"tested_at"`
}

// Kind is KindAlert.
func (*Alert) Kind() Kind { return KindAlert }

// Keys finds alerts by scope.
func (a *Alert) Keys() []Key { return []Key{{"all", ""}, {"scope", a.Scope}} }

// Within is the scope whose findings are sent.
func (a *Alert) Within() string { return a.Scope }

// Host is where messages go, without what else an address tells.
func (a *Alert) Host() string {
	if u, err := url.Parse(a.To); err == nil && a.Channel == AlertWebhook {
		return u.Host
	}
	_, domain, _ := strings.Cut(a.To, "@")
	return domain
}

// severities orders how bad a finding is, from what nobody said.
var severities = []string{"", "low", "medium", "high", "critical"}

// CheckSeverity refuses what is none.
func CheckSeverity(s string) error {
	if s == "" || !slices.Contains(severities, s) {
		return fault.New(fault.Invalid, "A severity is low, medium, high or critical.")
	}
	return nil
}

// AtLeast tells whether one severity is as bad as another.
func AtLeast(severity, least string) bool {
	return slices.Index(severities, severity) >= slices.Index(severities, least)
}

const maxWebhook = 500

// CleanWebhook checks where a webhook's messages go: https, or http to the host
// itself. Path and query may be secrets, as those of chat services are.
func CleanWebhook(address string) (string, error) {
	address = strings.TrimSpace(address)
	invalid := func(why string) (string, error) {
		return "", fault.New(fault.Invalid, "A webhook's address is as https://alerts.example.org/strongroom: %s.", why)
	}
	if len(address) > maxWebhook || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("printable ASCII without spaces, 500 characters at most")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return invalid("this is none")
	}
	local, _ := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !local.IsLoopback()):
		return invalid("its scheme is https")
	case u.User != nil:
		return invalid("it has no user and no password; messages are signed")
	case strings.Contains(address, "#"):
		return invalid("it ends before any #, which is not sent")
	case !local.IsValid():
		if _, good := badLabel(strings.Map(lower, u.Hostname())); !good {
			return invalid("its host is no name")
		}
	}
	return address, nil
}

// ShowWebhook is what may be told of a webhook's address: the host, and the first
// digits of the SHA-256 of all of it, by which those who have it know it again.
func ShowWebhook(address string) (shown, fingerprint string) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "" // CleanWebhook refuses it
	}
	digest := sha256.Sum256([]byte(address))
	return u.Scheme + "://" + u.Host + "/…", hex.EncodeToString(digest[:4])
}
