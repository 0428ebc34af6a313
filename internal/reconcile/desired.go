package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/plan"
	"github.com/strongroom/strongroom/internal/postgres"
)

// desired is what the engine shall hold, with secrets; it does not outlive a turn.
type desired struct {
	spaces     map[string]driver.Space
	routes     map[string]driver.Routes
	formations map[string]driver.Formation
	volumes    map[string]string // volume → space
	digests    map[string]string // of formations
}

// built is a formation as it was made for a key; making one opens secrets.
type built struct {
	key, digest string
	formation   driver.Formation
}

// issued is a certificate of a space's own authority.
type issued struct {
	certPEM, keyPEM string
	until           time.Time
}

// desire makes what the engine shall hold. What cannot be made, because a
// secret cannot be opened, say, stays as the engine has it and holds up no
// other; the error tells of it.
func (l *Loop) desire(ctx context.Context, w *world) (*desired, error) {
	d := &desired{
		spaces: map[string]driver.Space{}, routes: map[string]driver.Routes{}, formations: map[string]driver.Formation{},
		volumes: map[string]string{}, digests: map[string]string{},
	}
	var errs []error
	for _, s := range w.spaces {
		if s.State == document.SpaceDeleting {
			continue
		}
		d.spaces[s.ID] = spaceOf(s)
		routes, err := l.routesOf(ctx, w, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("routes of the space %s: %w", s.Name, err))
			continue
		}
		d.routes[s.ID] = routes
	}
	for _, f := range w.formations {
		if err := l.addFormation(ctx, w, d, f); err != nil {
			errs = append(errs, fmt.Errorf("formation %s of the app %s: %w", f.Type, f.App, err))
			l.keep(d, f.ID, f.Space)
		}
	}
	for _, a := range w.addons {
		if err := l.addDatabase(ctx, w, d, a); err != nil {
			errs = append(errs, fmt.Errorf("add-on %s: %w", a.Name, err))
			l.keep(d, a.ID, a.Space)
		}
	}
	l.forget(d)
	return d, errors.Join(errs...)
}

// plan is the desired state without its values.
func (d *desired) plan(w *world) plan.Desired {
	out := plan.Desired{Spaces: map[string]plan.Space{}, Volumes: d.volumes, Formations: map[string]plan.Formation{}}
	for _, s := range w.spaces {
		p := plan.Space{Deleting: s.State == document.SpaceDeleting, Allocated: s.State == document.SpaceAllocated}
		if !p.Deleting {
			p.Digest = driver.Digest(d.spaces[s.ID])
		}
		if routes, ok := d.routes[s.ID]; ok {
			p.Routes = driver.Digest(routes)
		}
		out.Spaces[s.ID] = p
	}
	for id, f := range d.formations {
		p := plan.Formation{Digest: d.digests[id], Space: f.Space}
		for _, m := range f.Process.Mounts {
			p.Volumes = append(p.Volumes, m.Volume)
		}
		out.Formations[id] = p
	}
	return out
}

func spaceOf(s *document.Space) driver.Space {
	out := driver.Space{ID: s.ID, Name: s.Name, Trusted: []string{}, Outbound: []driver.Outbound{}}
	for _, t := range s.Trusted {
		out.Trusted = append(out.Trusted, t.Source)
	}
	for _, o := range s.Outbound {
		rule := driver.Outbound{CIDR: o.Target, Protocol: o.Protocol, FromPort: o.FromPort, ToPort: o.ToPort}
		if o.Named() {
			rule.CIDR, rule.Name = "", o.Target
		}
		out.Outbound = append(out.Outbound, rule)
	}
	return out
}

// addFormation wants an app's process type, once a release has brought it.
func (l *Loop) addFormation(ctx context.Context, w *world, d *desired, f *document.Formation) error {
	app, rel := w.apps[f.App], w.current[f.App]
	if app == nil || rel == nil || rel.Slug == "" {
		return nil
	}
	i := slices.IndexFunc(w.spaces, func(s *document.Space) bool { return s.ID == f.Space })
	if i < 0 {
		return nil
	}
	space := w.spaces[i]
	peers := Peers(space, f.App, w.attachments[f.App], w.formations)
	// The revision holds what must restart dynos; the key also the rest.
	restart := driver.Digest([]string{strconv.Itoa(rel.Version), f.Command, f.Size, strconv.Itoa(f.Restart), rel.Image})
	key := driver.Digest([]string{restart, strconv.Itoa(f.Quantity), strings.Join(peers, ","), app.Name, strconv.FormatInt(rel.ConfigRev, 10), strconv.FormatBool(space.Linked)})
	b, ok := l.built[f.ID]
	if !ok || b.key != key {
		process, err := l.cfg.Process(ctx, Dyno{App: app, Release: rel, Space: space, Command: f.Command, Type: f.Type, Size: f.Size})
		if err != nil {
			return err
		}
		formation := driver.Formation{
			ID: f.ID, Space: f.Space, Labels: driver.Labels{App: f.App, Source: "app", Type: f.Type},
			Name: dnsLabel(f.Type) + "." + app.Name + ".app", Revision: revision(strconv.Itoa(rel.Version), restart[7:15]),
			Quantity: f.Quantity, Process: process, Rolling: true, Grace: 30 * time.Second, Boot: time.Minute, Peers: peers, Private: space.Linked,
		}
		b = built{key: key, digest: driver.Digest(formation), formation: formation}
		l.built[f.ID] = b
	}
	d.formations[f.ID], d.digests[f.ID] = b.formation, b.digest
	return nil
}

// addDatabase wants a database's volumes open and, once it is set up with a
// certificate, its container running.
func (l *Loop) addDatabase(ctx context.Context, w *world, d *desired, a *document.Addon) error {
	if a.State != document.AddonProvisioned {
		// internal/operation sets it up and takes it down; until then the
		// engine keeps what that has applied.
		l.keep(d, a.ID, a.Space)
		return nil
	}
	data, server := postgres.VolumeIDs(a)
	d.volumes[data], d.volumes[server] = a.Space, a.Space
	b, ok := l.built[a.ID]
	if key := a.Image; !ok || b.key != key {
		admin, err := l.cfg.Keyring.Open(ctx, a.Admin.ID, a.Admin.SHA256)
		if err != nil {
			return err
		}
		formation, err := postgres.Formation(a, a.Image, admin)
		if err != nil {
			return err
		}
		b = built{key: key, digest: driver.Digest(formation), formation: formation}
		l.built[a.ID] = b
	}
	d.formations[a.ID], d.digests[a.ID] = b.formation, b.digest
	return nil
}

// keep wants a formation that is observed to be there to stay as it is.
func (l *Loop) keep(d *desired, id, space string) {
	for _, f := range l.observed.Formations {
		if f.ID == id {
			d.formations[id], d.digests[id] = driver.Formation{ID: id, Space: space}, f.Digest
		}
	}
}

// forget drops what is no longer wanted from the caches.
func (l *Loop) forget(d *desired) {
	for id := range l.built {
		if _, ok := d.formations[id]; !ok {
			delete(l.built, id)
		}
	}
}

// routesOf is what a space's router serves: each domain of its apps, to the
// app's web process.
func (l *Loop) routesOf(ctx context.Context, w *world, s *document.Space) (driver.Routes, error) {
	out := driver.Routes{Space: s.ID, HSTS: !s.NoHSTS, Domains: []driver.Route{}}
	web := map[string]string{}
	for _, f := range w.formations {
		if f.Type == "web" && f.Quantity > 0 && w.current[f.App] != nil {
			web[f.App] = f.ID
		}
	}
	for _, dom := range w.domains[s.ID] {
		cert, key, err := l.certificate(ctx, w, s, dom)
		if err != nil {
			return out, err
		}
		route := driver.Route{
			Hostname: dom.Hostname, App: dom.App, Formation: web[dom.App], Maintenance: w.apps[dom.App].Maintenance,
			Certificate: cert, Key: key, MinTLS: dom.LeastTLS(s),
		}
		if dom.Clients != nil {
			route.Clients = dom.Clients.Certificates
		}
		out.Domains = append(out.Domains, route)
	}
	slices.SortFunc(out.Domains, func(a, b driver.Route) int { return strings.Compare(a.Hostname, b.Hostname) })
	return out, nil
}

// Life of the certificates that a space's authority issues, and how long before
// their end a new one is made.
const (
	certLife  = 90 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// certificate gives a domain's uploaded certificate, or one of the space's own
// authority.
func (l *Loop) certificate(ctx context.Context, w *world, s *document.Space, dom *document.Domain) (certPEM, keyPEM string, err error) {
	cacheKey := s.ID + " " + dom.Hostname
	if e := w.endpoints[dom.Endpoint]; e != nil {
		cacheKey = e.ID + " " + e.Key.ID
	}
	now := l.cfg.Now()
	if c, ok := l.issued[cacheKey]; ok && now.Before(c.until) {
		return c.certPEM, c.keyPEM, nil
	}
	c, err := l.newCertificate(ctx, w, s, dom, now)
	if err != nil {
		return "", "", fmt.Errorf("certificate of %s: %w", dom.Hostname, err)
	}
	l.issued[cacheKey] = c
	return c.certPEM, c.keyPEM, nil
}

func (l *Loop) newCertificate(ctx context.Context, w *world, s *document.Space, dom *document.Domain, now time.Time) (issued, error) {
	if e := w.endpoints[dom.Endpoint]; e != nil {
		key, err := l.cfg.Keyring.Open(ctx, e.Key.ID, e.Key.SHA256)
		return issued{e.Certificate, string(key.Reveal()), now.Add(time.Hour)}, err
	}
	caKey, err := l.cfg.Keyring.Open(ctx, s.CAKey.ID, s.CAKey.SHA256)
	if err != nil {
		return issued{}, err
	}
	cert, key, err := spaces.Issue(s.CA, caKey, []string{dom.Hostname}, certLife, now)
	return issued{cert, string(key.Reveal()), now.Add(certLife - certRenew)}, err
}

func instanceName(processType string, ordinal int) string {
	return processType + "." + strconv.Itoa(ordinal)
}

// dnsLabel is a process type as part of a name: Heroku's service discovery
// writes my_worker as my-worker.
func dnsLabel(processType string) string {
	return strings.Trim(strings.ReplaceAll(strings.ToLower(processType), "_", "-"), "-")
}
