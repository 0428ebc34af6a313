package control_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// rename is a command of the test's own.
type rename struct {
	team, name string
}

func (*rename) Action() string { return "team.rename" }

func (c *rename) Aim(v store.View) (control.Aim, error) {
	t, err := store.Get[*document.Team](v, c.team)
	if err != nil {
		return control.Aim{}, err
	}
	return control.Aim{
		Scope: t.ID, Target: ledger.Target{Kind: "team", ID: t.ID, Name: t.Name},
		Need: authz.TeamManage, On: authz.Resource{Team: t.ID}, See: authz.TeamView,
	}, nil
}

func (c *rename) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	t, err := store.Get[*document.Team](v, c.team)
	if err != nil {
		return err
	}
	t.Name = c.name
	d.Put(t)
	return nil
}

// seed appends what the tests start from, past the kernel: as an installation
// does with its first entry.
func seed(t *testing.T, s store.Store, scope string, docs ...document.Doc) {
	t.Helper()
	err := s.Write(func(b store.Batch) error {
		body := ledger.Body{Action: "test.seed", Outcome: ledger.OK, Actor: ledger.Actor{Kind: ledger.SystemActor}, Via: ledger.ViaAPI}
		for _, d := range docs {
			raw, err := document.Encode(d)
			if err != nil {
				return err
			}
			body.Changes = append(body.Changes, ledger.Change{Kind: string(d.Kind()), ID: d.Ident(), Rev: 1, Doc: raw})
		}
		_, err := b.Append(time.Now().UTC(), store.Draft{Scope: scope, Body: body, Docs: docs})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T) (*control.Kernel, *sqlite.Store) {
	t.Helper()
	s, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k := control.New(control.Config{Store: s, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, s
}

func TestExecute(t *testing.T) {
	k, s := start(t)
	team := &document.Team{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Name: "care"}
	owner := &document.Account{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Email: "owner@example.org"}
	other := &document.Account{Base: document.Base{Schema: 1, ID: uuid.NewString()}, Email: "other@example.org"}
	seed(t, s, "", owner, other)
	seed(t, s, team.ID, team, &document.Member{
		Base: document.Base{Schema: 1, ID: uuid.NewString()}, Team: team.ID, Account: owner.ID, Roles: []string{"owner"},
	})
	as := func(a *document.Account) control.By {
		return control.By{Actor: ledger.Actor{Kind: ledger.AccountActor, ID: a.ID, Email: a.Email, IP: "198.51.100.7"}, Via: ledger.ViaAPI}
	}

	seq, err := k.Execute(t.Context(), &rename{team.ID, "clinic"}, as(owner))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), func(v store.View) error {
		got, err := store.One[*document.Team](v, "name", "clinic")
		if err == nil && got.ID != team.ID {
			t.Errorf("found team %s by its new name, want %s", got.ID, team.ID)
		}
		if old, _ := store.Find[*document.Team](v, "name", "care"); len(old) != 0 {
			t.Error("the team is still found by its old name")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.At(t.Context(), seq, func(v store.View) error {
		_, err := store.One[*document.Team](v, "name", "care")
		return err
	}); err != nil {
		t.Errorf("the team's name before: %v", err)
	}

	for range 3 {
		if _, err := k.Execute(t.Context(), &rename{team.ID, "mine"}, as(other)); fault.Of(err) != fault.NotFound {
			t.Fatalf("a stranger's rename: %v, want not found", err)
		}
	}
	denied, err := s.Entries(t.Context(), store.Query{Outcome: ledger.Denied, Scopes: []string{team.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if len(denied) != 1 {
		t.Errorf("%d denial entries for three refusals within a minute, want 1 now and a count later", len(denied))
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
