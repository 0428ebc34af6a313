package attempt

import (
	"context"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// refusalOnRecord: what is refused is an entry that says who tried what, from
// where, when it is answered.
func refusalOnRecord(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.refusal-on-record", Title: "What is refused is on record when it is answered", Version: 1, Every: seldom,
		Shares: onStage, Try: calling(c, "attempt.refusal-on-record", (*caller).refusalOnRecord),
	}
}

// refusalOnRecord tries what no other attempt does: the same refusal within a
// minute is only counted.
func (c *caller) refusalOnRecord(ctx context.Context) ([]compliance.Result, error) {
	_, token, err := c.token(ctx, c.Member, tokenLife)
	if err != nil {
		return nil, err
	}
	if err := c.works(ctx, token, http.MethodGet, "/teams/"+c.Team.ID, ""); err != nil {
		return nil, err
	}
	head, err := c.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	t := &trial{}
	path := "/teams/" + c.Team.ID + "/members/" + c.Admin.ID
	if err := c.try(ctx, t, c.Member.Email, token, http.MethodDelete, path, "", http.StatusForbidden); err != nil {
		return nil, err
	}
	entries, err := c.Store.Entries(ctx, store.Query{
		Scopes: []string{c.Team.ID}, FromSeq: head.Size, Actor: c.Member.ID, Actions: []string{"role.revoke"}, Outcome: ledger.Denied, Limit: 10,
	})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(r store.Record) bool { return whole(r, c.Member.Email) })
	if i < 0 {
		t.got = append(t.got, "NOT ON RECORD: this refusal has no entry that says who it was and from where.")
		return t.one(nil)
	}
	t.note("It is entry %d, with the actor, the address and the client.", entries[i].Header.Seq)
	r := t.result()
	r.Seqs = []int64{entries[i].Header.Seq}
	return []compliance.Result{r.Of("", "", "")}, nil
}

// whole tells whether a denial says who it was, and from where.
func whole(r store.Record, email string) bool {
	body, err := ledger.ParseBody(r.Body)
	return err == nil && body.Actor.Email == email && body.Actor.IP != "" && body.Actor.UserAgent == agent && body.Error != ""
}
