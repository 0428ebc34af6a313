package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// world is what a ledger of the benchmark is about: teams, people, spaces and
// apps. It is the same each time.
type world struct {
	spaces  int
	watched bool // its checks are on record too
}

// An app's month of 30 days holds about a thousand entries.
const (
	worldTeams      = 4
	worldApps       = 84
	worldAccounts   = 50
	worldFormations = 12 // an app
	worldStep       = 31 * time.Second
)

// wide has its apps in several spaces; narrow has them in one, so that a pack
// of it holds every entry's body.
var (
	wide   = world{spaces: 8}
	narrow = world{spaces: 1}
)

// epoch is the time of the first sample.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// id makes the same UUID each time for the n-th thing of a sort.
func id(sort byte, n int) string {
	var u uuid.UUID
	// Like UUIDv7: the first bytes grow, the last look random.
	binary.BigEndian.PutUint32(u[:], 0x0199_0000+uint32(n>>16))
	binary.BigEndian.PutUint16(u[4:], uint16(n))
	u[6], u[7] = 0x70, sort
	binary.BigEndian.PutUint64(u[8:], uint64(n+1)*0x9E3779B97F4A7C15)
	u[8] = 0x80 | u[8]&0x3f
	return u.String()
}

func teamOf(space int) int { return space % worldTeams }

func (w world) spaceOf(app int) int { return app % w.spaces }

func spaceName(space int) string { return fmt.Sprintf("space-%d", space) }

func appName(app int) string { return fmt.Sprintf("intake-%d", app) }

// seed appends what the world begins with: its people, spaces and apps.
func (w world) seed(b store.Batch) error {
	for _, list := range [][]document.Doc{people(), w.places()} {
		for _, d := range list {
			if err := put(b, epoch, "world.seed", d); err != nil {
				return err
			}
		}
	}
	return nil
}

func base(sort byte, n int) document.Base {
	return document.Base{Schema: 1, ID: id(sort, n), CreatedAt: epoch, UpdatedAt: epoch}
}

func people() (docs []document.Doc) {
	docs = append(docs, &document.Installation{Base: base('i', 0), Name: "bench"})
	for t := range worldTeams {
		docs = append(docs, &document.Team{Base: base('t', t), Name: fmt.Sprintf("clinic-%d", t)})
	}
	for a := range worldAccounts {
		docs = append(docs, &document.Account{Base: base('a', a), Email: email(a), Name: "A Person"})
		for t := range worldTeams {
			docs = append(docs, &document.Member{
				Base: base('m', a*worldTeams+t), Team: id('t', t), Account: id('a', a), Email: email(a),
				Roles: []string{string(authz.Member), string(authz.Auditor)},
			})
		}
	}
	return docs
}

func (w world) places() (docs []document.Doc) {
	for s := range w.spaces {
		docs = append(docs, &document.Space{
			Base: base('s', s), Team: id('t', teamOf(s)), Name: spaceName(s), Shield: true, State: document.SpaceAllocated,
		})
	}
	for a := range worldApps {
		docs = append(docs, &document.App{
			Base: base('p', a), Name: appName(a), Team: id('t', teamOf(w.spaceOf(a))), Space: id('s', w.spaceOf(a)),
			Stack: "debian-13", EPHI: document.EPHIYes, Features: []string{},
		})
		for f := range worldFormations {
			docs = append(docs, w.formation(a, f, 1))
		}
	}
	return docs
}

func email(account int) string { return fmt.Sprintf("person%d@clinic.example", account) }

func (w world) formation(app, f, quantity int) *document.Formation {
	return &document.Formation{
		Base: base('f', app*worldFormations+f), App: id('p', app), Space: id('s', w.spaceOf(app)),
		Type: processType(f), Quantity: quantity, Size: "shield-m",
	}
}

func processType(f int) string {
	if f == 0 {
		return "web"
	}
	return fmt.Sprintf("worker%d", f)
}

// put appends one document in an entry of its own.
func put(b store.Batch, now time.Time, action string, d document.Doc) error {
	raw, err := document.Encode(d)
	if err != nil {
		return err
	}
	rev, _, err := b.Rev(d.Kind(), d.Ident())
	if err != nil {
		return err
	}
	_, err = b.Append(now, store.Draft{
		Scope: d.Within(), Docs: []document.Doc{d},
		Body: ledger.Body{
			Action: action, Outcome: ledger.OK, Via: ledger.ViaCLI, Actor: ledger.Actor{Kind: ledger.SystemActor, Email: "bench"},
			Target:  ledger.Target{Kind: string(d.Kind()), ID: d.Ident(), Name: "seed"},
			Changes: []ledger.Change{{Kind: string(d.Kind()), ID: d.Ident(), Rev: rev + 1, Doc: raw}},
		},
	})
	return err
}
