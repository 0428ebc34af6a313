package operation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// recorded gives the entries of an action.
func (l *lab) recorded(action string) (out []commandtest.Line) {
	l.T.Helper()
	for _, e := range l.Since(0) {
		if e.Action == action {
			out = append(out, e)
		}
	}
	return out
}

// TestDisposeApp destroys an app that has a repository and a build cache. The
// engine is away at first.
func TestDisposeApp(t *testing.T) {
	l := newLab(t)
	app := l.IDs["app:clinic"]
	builds := driver.Space{ID: uuid.NewString(), Name: "builds"}
	cache := driver.Volume{ID: apps.BuildCache(app), Space: builds.ID, Bytes: 1 << 20, Key: bytes.Repeat([]byte{1}, 64)}
	if err := l.Engine.EnsureSpace(t.Context(), builds); err != nil {
		t.Fatal(err)
	}
	if err := l.Engine.EnsureVolume(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	repo, other := filepath.Join(l.code, app+".git"), filepath.Join(l.code, uuid.NewString()+".git")
	for _, dir := range []string{repo, other} {
		if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l.start()
	l.Engine.Fail("DestroyVolume", fault.New(fault.Unavailable, "away"))
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("root"))
	l.until("it was tried", func() bool { return slices.Contains(l.Engine.Calls(), "DestroyVolume "+cache.ID) })
	if n := len(l.recorded("app.dispose")); n != 0 {
		t.Errorf("recorded %d times before it was so", n)
	}
	l.Engine.Fail("DestroyVolume", nil)
	l.Skip(time.Minute)
	l.done()
	if _, err := os.Stat(repo); !os.IsNotExist(err) {
		t.Errorf("the repository: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another app's repository: %v", err)
	}
	if o := l.Engine.Seen(t); slices.ContainsFunc(o.Volumes, func(v driver.ObservedVolume) bool { return v.ID == cache.ID }) {
		t.Error("the cache is still there")
	}
	lines := l.recorded("app.dispose")
	if len(lines) != 1 || lines[0].App != app || lines[0].Scope != l.IDs["space:ward"] || lines[0].Detail("build_cache") == "" || lines[0].Cause == nil {
		t.Fatalf("recorded as %+v", lines)
	}

	// One that was never pushed to is done with as well.
	l.App("empty", "ward")
	l.Do(&apps.Destroy{Identity: "empty"}, l.As("root"))
	l.done()
	if n := len(l.recorded("app.dispose")); n != 2 {
		t.Errorf("recorded %d times", n)
	}
}

// TestDisposeSpace removes the blobs and logs of a space that is gone, and of no
// other.
func TestDisposeSpace(t *testing.T) {
	l := newLab(t)
	ward, attic := l.IDs["space:ward"], l.Space("attic").ID
	l.Settle()
	for _, s := range []string{ward, attic} {
		if _, err := l.blobs.Put(t.Context(), &s, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	l.start()
	l.Deploy("clinic", "web: say CANARY; serve; wait")
	l.Settle()
	l.Do(&apps.Destroy{Identity: "clinic"}, l.As("root"))
	l.done()
	l.Do(&spaces.Destroy{Identity: "ward"}, l.As("root"))
	l.Settle()
	if !l.Gone(document.KindSpace, ward) {
		t.Fatal("the space is still there")
	}
	l.done()
	if _, err := os.Stat(filepath.Join(l.Dir, "blobs", ward)); !os.IsNotExist(err) {
		t.Errorf("its blobs: %v", err)
	}
	if _, err := os.Stat(filepath.Join(l.Dir, "blobs", attic)); err != nil {
		t.Errorf("another space's blobs: %v", err)
	}
	if said := logsOf(t, l.Engine, ward, l.IDs["app:clinic"]); len(said) > 0 {
		t.Errorf("its log has %v", said)
	}
	if lines := l.recorded("space.dispose"); len(lines) != 1 || lines[0].Target.Name != "ward" || lines[0].Scope != ward {
		t.Errorf("recorded as %+v", lines)
	}
}

// logsOf reads the log of an app in a space that is made again for it.
func logsOf(t *testing.T, d driver.Driver, space, app string) (out []string) {
	t.Helper()
	if err := d.EnsureSpace(t.Context(), driver.Space{ID: space, Name: "ward"}); err != nil {
		t.Fatal(err)
	}
	r, err := d.Logs(context.Background(), driver.LogQuery{Space: space, App: app, Lines: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for dec := json.NewDecoder(r); ; {
		var l driver.LogLine
		if err := dec.Decode(&l); err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.Text)
	}
}
