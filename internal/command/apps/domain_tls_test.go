package apps_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestDomainTLS(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "lab.example.org"}, w.As("dev"))
	authority := commandtest.Get[*document.Space](w, w.IDs["space:ward"]).CA
	set := &apps.SetDomainTLS{Identity: "clinic", Hostname: "lab.example.org", MinTLS: ptr("1.3"), Authorities: ptr("ours:\n" + authority)}
	w.Refused(fault.Forbidden, w.IDs["space:ward"], set, w.As("dev")) // for those who manage it
	lines := w.Record(set, w.As("owner"))
	d := commandtest.Get[*document.Domain](w, set.Domain.ID)
	if d.MinTLS != document.TLS13 || d.Clients == nil || d.Clients.Certificates != authority || len(d.Clients.Subjects) != 1 || d.Clients.EndsAt.Before(commandtest.Noon) {
		t.Errorf("%+v, %+v", d, d.Clients)
	}
	if lines[0].Action != "domain.tls" {
		t.Errorf("%+v", lines)
	}

	everybody := &apps.SetDomainTLS{Identity: "clinic", Hostname: "lab.example.org", Everybody: true}
	w.Refused(fault.Invalid, commandtest.None, everybody, commandtest.Reason(w.As("owner"), ""))
	// One part stays as it is while the other changes.
	w.Do(&apps.SetDomainTLS{Identity: "clinic", Hostname: "lab.example.org", MinTLS: ptr("1.2")}, w.As("owner"))
	if d := commandtest.Get[*document.Domain](w, d.ID); d.MinTLS != "" || d.Clients == nil {
		t.Errorf("%+v", d)
	}
	w.Do(everybody, commandtest.Reason(w.As("owner"), "they log in by themselves"))
	if d := commandtest.Get[*document.Domain](w, d.ID); d.Clients != nil {
		t.Errorf("%+v", d.Clients)
	}

	for _, bad := range []*apps.SetDomainTLS{{}, {MinTLS: ptr("1.1")}, {Authorities: ptr("")}, {Authorities: ptr("words")}} {
		bad.Identity, bad.Hostname = "clinic", "lab.example.org"
		w.Refused(fault.Invalid, commandtest.None, bad, w.As("owner"))
	}
	w.Refused(fault.TooLarge, commandtest.None, &apps.SetDomainTLS{Identity: "clinic", Hostname: "lab.example.org", Authorities: ptr(strings.Repeat("x", 70<<10))}, w.As("owner"))
	w.Refused(fault.NotFound, commandtest.None, &apps.SetDomainTLS{Identity: "clinic", Hostname: "none.example.org", MinTLS: ptr("1.3")}, w.As("owner"))
	w.Refused(fault.NotFound, w.IDs["space:ward"], &apps.SetDomainTLS{Identity: "clinic", Hostname: "lab.example.org", MinTLS: ptr("1.2")}, w.As("stranger"))
}
