package api

import (
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/store"
)

// TestClientErases erases a body through the API, and asks it for what is lost and
// for what is not.
func TestClientErases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, ctx := w.serveTLS(t)("owner"), t.Context()
	w.Do(&apps.Update{Identity: "clinic", Maintenance: new(true)}, w.As("owner"))
	on := w.First(store.Query{Actions: []string{"app.update"}})
	w.Set(commandtest.Noon.Add(2 * time.Hour))
	w.Do(&apps.Update{Identity: "clinic", Maintenance: new(false)}, w.As("owner"))
	w.Set(commandtest.Noon.AddDate(7, 0, 0))

	var refused *client.Error
	if _, err := owner.EraseBodies(ctx, []int64{on}, "attic"); !errors.As(err, &refused) || refused.Status != 422 {
		t.Errorf("with another name: %v", err)
	}
	done, err := owner.EraseBodies(ctx, []int64{on}, "ward")
	if err != nil || len(done.Erased) != 1 || done.Erased[0].Seq != on || done.Erased[0].Rule != "six-years" {
		t.Fatalf("%+v, %v", done, err)
	}
	lost := func(e *client.PastErasure) bool {
		return e != nil && e.Seq == on && e.By == done.Seq && e.Reason == "as the test asks" && e.Action == "app.update" && !e.At.IsZero() && e.Time.Equal(commandtest.Noon)
	}
	const during, after = "2026-03-02T13:00:00Z", "2026-03-02T15:00:00Z"
	d, err := owner.PastDocument(ctx, during, "", "app", w.IDs["app:clinic"])
	if err != nil || string(d.Doc) != "null" || !lost(d.Erased) {
		t.Errorf("state: %+v, %v", d, err)
	}
	if d, err := owner.PastDocument(ctx, after, "", "app", "clinic"); err != nil || d.Erased != nil || d.Name == nil {
		t.Errorf("state after it: %+v, %v", d, err)
	}
	if p, err := owner.Past(ctx, during, "ward"); err != nil || p.Kinds[0].Lost+p.Kinds[1].Lost+p.Kinds[2].Lost == 0 {
		t.Errorf("counts: %+v, %v", p, err)
	}
	diff, err := owner.Differences(ctx, during, after, "", "app")
	if err != nil || len(diff) != 1 || !lost(diff[0].FromErased) || diff[0].ToErased != nil || diff[0].Change != "not known" {
		t.Errorf("diff: %+v, %v", diff, err)
	}
	able, err := owner.WhoCould(ctx, "ward", during, "app.deploy")
	if n := len(able); err != nil || n < 2 || able[0].Lost != nil || able[n-1].Lost == nil || !lost(able[n-1].Lost.Erased) {
		t.Errorf("who-could: %+v, %v", able, err)
	}
	if _, err := owner.WhoCould(ctx, "app:"+w.IDs["app:clinic"], during, ""); !errors.As(err, &refused) || refused.Status != 409 {
		t.Errorf("who could with what is lost: %v", err)
	}
}
