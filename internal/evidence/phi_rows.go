package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
)

// carries is the mark of a link: what is at one of its ends goes over it.
func carries(marks ...string) string {
	switch {
	case slices.Contains(marks, document.EPHIYes):
		return document.EPHIYes
	case slices.ContainsFunc(marks, func(m string) bool { return m != document.EPHINo }):
		return document.EPHIUnknown
	}
	return document.EPHINo
}

// mayHold is the mark of a place into which an app can put what it has without
// anybody having said whether it does.
func mayHold(mark string) string {
	if mark == document.EPHINo {
		return mark
	}
	return document.EPHIUnknown
}

// mark is one that was set, or unknown.
func mark(set string) string { return carries(set) }

// app adds where an app keeps things, and the ways to and from it.
func (r *phiReader) app(a isolatedApp) error {
	shell, logs, played := r.may(authz.AppShell, a.ID), r.may(authz.AppOperate, a.ID), r.may(authz.EvidenceRead, "")
	its := mark(a.EPHI)
	for _, x := range []phiPath{
		{
			Kind: phiLink, What: "requests", EPHI: its, From: r.clients(), To: a.Name, Path: "edge, the space's router, web dynos; " + hostnames(a),
			Reach:     "whoever may connect; the app decides whom it lets in",
			Recorded:  "access lines of the router, which are not kept as evidence",
			Encrypted: "TLS 1.2 or newer up to the router; from there to the dyno in the clear, within the host",
		},
		{
			Kind: phiStore, What: "scratch disk", EPHI: its, From: a.Name, To: "its dynos (" + count(dynos(a), "dyno") + ")", Path: "a volume of the space, gone with the dyno",
			Reach: "the app's processes; by terminal: " + shell, Recorded: "terminals, keystroke by keystroke",
			Encrypted: "fscrypt, AES-256; a key that only the kernel knows",
		},
		{
			Kind: phiStore, What: "log lines", EPHI: mayHold(its), From: a.Name, To: "the host's disk", Path: "output of the app's processes, by the spool",
			Reach: logs, Recorded: "each stream that is opened: log.read", Encrypted: "not encrypted: file modes only",
		},
		{
			Kind: phiLink, What: "terminal", EPHI: its, From: "people", To: a.Name, Path: "run, through the server",
			Reach: shell, Recorded: "session.open, session.close, and every keystroke", Encrypted: "TLS 1.2 or newer",
		},
		{
			Kind: phiStore, What: "recordings of terminals", EPHI: its, From: a.Name, To: "the server's blobs", Path: "written before the process gets a keystroke",
			Reach: played, Recorded: "each time one is played: session.play; each pack that holds them: evidence.export",
			Encrypted: "AES-256-GCM, a key for each, under the space's data key",
		},
	} {
		if err := r.add(a.App, x); err != nil {
			return err
		}
	}
	return r.attachments(a, its)
}

func (r *phiReader) attachments(a isolatedApp, its string) error {
	for _, at := range a.Attachments {
		i := slices.IndexFunc(r.state.Addons, func(d *document.Addon) bool { return d.ID == at.Addon })
		if i < 0 {
			continue // it is being destroyed
		}
		d := r.state.Addons[i]
		if err := r.add(at, phiPath{
			Kind: phiLink, What: at.Name + "_URL", EPHI: carries(its, d.EPHI), From: a.Name, To: d.Name, Path: "within the space's network; other apps have no way to it",
			Reach: "the app's processes", Recorded: "each connection, in the database's log lines; not the SQL",
			Encrypted: "TLS 1.2 or newer, password by SCRAM",
		}); err != nil {
			return err
		}
	}
	return nil
}

// addon adds a database and the way to it that people have.
func (r *phiReader) addon(a *document.Addon) error {
	shell, secrets := r.may(authz.AppShell, a.App), r.may(authz.AppSecrets, a.App)
	if err := r.add(a, phiPath{
		Kind: phiStore, What: a.Service, EPHI: mark(a.EPHI), From: r.attached(a), To: a.Name, Path: "two volumes of its own; " + a.State,
		Reach:     "processes of the apps it is attached to; by tunnel: " + shell + "; may read its password: " + secrets,
		Recorded:  "session.open and session.close, credential.read; changes of structure and roles in its log lines; not the SQL",
		Encrypted: volumeKey(a),
	}); err != nil {
		return err
	}
	return r.add(a, phiPath{
		Kind: phiLink, What: "tunnel", EPHI: mark(a.EPHI), From: "people", To: a.Name, Path: "through the bastion",
		Reach: shell, Recorded: "session.open and session.close with the number of bytes; not the SQL", Encrypted: "SSH, and TLS within it",
	})
}

func volumeKey(a *document.Addon) string {
	if a.VolumeKey == nil {
		return "no key is on record"
	}
	return "fscrypt, AES-256; key " + a.VolumeKey.ID + ", sealed under the space's data key"
}

// attached names the apps that an add-on is attached to.
func (r *phiReader) attached(a *document.Addon) string {
	var names []string
	for _, x := range r.state.Apps {
		if slices.ContainsFunc(x.Attachments, func(at *document.Attachment) bool { return at.Addon == a.ID }) {
			names = append(names, x.Name)
		}
	}
	if names == nil {
		return "no app"
	}
	return strings.Join(names, ", ")
}

// sessions adds those that are open.
func (r *phiReader) sessions(open []openSession) {
	for _, s := range open {
		to, its := "an app that is gone", document.EPHIUnknown
		if i := slices.IndexFunc(r.state.Apps, func(a isolatedApp) bool { return a.ID == s.App }); i >= 0 {
			to, its = r.state.Apps[i].Name, mark(r.state.Apps[i].EPHI)
		}
		r.out = append(r.out, phiPath{
			Seq: s.seq, Kind: phiLink, What: "open session", EPHI: its, From: s.ByEmail, To: to, Path: s.Type + " " + s.Dyno,
			Reach: s.ByEmail, Recorded: "session " + s.ID, Encrypted: "as terminals and tunnels are",
		})
	}
}

// outbound adds what may leave the space, and whether the apps have anything
// that must not is not known.
func (r *phiReader) outbound() error {
	var marks []string
	for _, a := range r.state.Apps {
		marks = append(marks, a.EPHI)
	}
	for _, rule := range r.state.Doc.Outbound {
		if err := r.add(r.state.Doc, phiPath{
			Kind: phiLink, What: "outbound rule", EPHI: mayHold(carries(marks...)), From: "the space's apps", To: outsideOf,
			Path: fmt.Sprintf("%s %s %s", rule.Target, rule.Protocol, ports(rule)), Reach: "the apps' processes",
			Recorded: "changes of the rule; not the connections", Encrypted: "not known: it is up to the app",
		}); err != nil {
			return err
		}
	}
	return nil
}

// clients are the networks that may connect.
func (r *phiReader) clients() string {
	if len(r.state.Doc.Trusted) == 0 {
		return "nobody: no network is trusted"
	}
	var out []string
	for _, t := range r.state.Doc.Trusted {
		out = append(out, t.Source)
	}
	return strings.Join(out, ", ")
}

func hostnames(a isolatedApp) string {
	if len(a.Domains) == 0 {
		return "no host name"
	}
	var out []string
	for _, d := range a.Domains {
		out = append(out, d.Hostname)
	}
	return strings.Join(out, ", ")
}
