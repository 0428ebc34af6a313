package deploy_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/build"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// volume is what the engine has of a volume.
func (l *lab) volume(id string) *driver.ObservedVolume {
	l.T.Helper()
	o, err := l.engine.Observe(l.T.Context())
	if err != nil {
		l.T.Fatal(err)
	}
	if i := slices.IndexFunc(o.Volumes, func(v driver.ObservedVolume) bool { return v.ID == id }); i >= 0 {
		return &o.Volumes[i]
	}
	return nil
}

// keep writes a file of n bytes to the cache, as a build does.
func (l *lab) keep(volume string, n int) {
	var tar bytes.Buffer
	if err := image.WriteLayer(&tar, nil, []image.Entry{image.File("kept", 0o600, build.UID, make([]byte, n))}, commandtest.Noon); err != nil {
		l.T.Fatal(err)
	}
	if err := l.engine.PutFiles(l.T.Context(), volume, "", &tar); err != nil {
		l.T.Errorf("the cache cannot be written: %v", err)
	}
}

// TestCache builds again and again: the app's cache is open while a build runs
// and only then, and lasts until a build fails.
func TestCache(t *testing.T) {
	l := newLab(t, nil)
	id := apps.BuildCache(l.IDs["app:clinic"])
	var found int64
	pushes := 0
	l.builder.then = func(out io.Writer) (build.Result, error) {
		if v := l.volume(id); v == nil || !v.Unlocked || v.Space != buildSpace {
			t.Errorf("while it builds the cache is %+v", v)
		} else {
			found = v.Used
		}
		l.keep(id, 100)
		return good(out)
	}
	push := func(want int64) {
		t.Helper()
		found = -1
		l.commit(fmt.Sprintf("file%d", pushes))
		pushes++
		if out, err := l.push("clinic", "dev"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if l.builder.in.CacheVolume != id || found != want {
			t.Errorf("built with the cache %q holding %d bytes, want %q and %d", l.builder.in.CacheVolume, found, id, want)
		}
		if v := l.volume(id); v == nil || v.Unlocked {
			t.Errorf("after a build the cache is %+v", v)
		}
	}
	push(0)
	push(100)

	then := l.builder.then
	l.builder.then = func(io.Writer) (build.Result, error) { return build.Result{}, fault.New(fault.Invalid, "no") }
	l.commit("broken")
	if out, err := l.push("clinic", "dev"); err == nil {
		t.Errorf("it was pushed: %s", out)
	}
	if v := l.volume(id); v != nil {
		t.Errorf("after a failed build the cache is %+v", v)
	}
	l.builder.then = then
	push(0)
}

// TestCacheOfNoUse has caches that cannot be used: builds go on without them, or
// with an empty one.
func TestCacheOfNoUse(t *testing.T) {
	l := newLab(t, nil)
	id := apps.BuildCache(l.IDs["app:clinic"])
	// A volume of another key, as if the space's key had been another one.
	other := driver.Volume{ID: id, Space: buildSpace, Bytes: 1 << 30, Key: bytes.Repeat([]byte{1}, 64)}
	if err := l.engine.EnsureVolume(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	l.keep(id, 100)
	l.builder.then = func(out io.Writer) (build.Result, error) {
		if v := l.volume(id); v == nil || v.Used != 0 {
			t.Errorf("the cache is %+v, want an empty one", v)
		}
		return good(out)
	}
	if out, err := l.push("clinic", "dev"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := l.engine.RemoveSpace(t.Context(), buildSpace); err != nil {
		t.Fatal(err)
	}
	l.builder.then = good
	l.commit("again")
	if out, err := l.push("clinic", "dev"); err != nil || l.builder.in.CacheVolume != "" {
		t.Errorf("without an engine's space: cache %q, %v\n%s", l.builder.in.CacheVolume, err, out)
	}
}
