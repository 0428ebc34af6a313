//go:build live

package live

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// setter sets config vars of an app without pause and remembers what was
// acknowledged. The n-th change sets N<n> and unsets those before it, so that
// each has a release and an entry that name it.
type setter struct {
	app  string
	c    *client.Client
	stop func()

	mu    sync.Mutex
	tried int
	acked []int
}

// settleTime is between two changes: each makes reconcile look at the world.
const settleTime = 50 * time.Millisecond

func newSetter(t *testing.T, s *site, app string) *setter {
	t.Helper()
	x := &setter{app: app, c: s.account(t, "developer")}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var old []int
		for n := 1; ctx.Err() == nil; n++ {
			old = x.set(ctx, n, old)
			time.Sleep(settleTime)
		}
	}()
	x.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(x.stop)
	return x
}

// set makes a change; old are those that may still have to be unset.
func (x *setter) set(ctx context.Context, n int, old []int) []int {
	vars := map[string]any{name(n): "x"}
	for _, o := range old {
		vars[name(o)] = nil
	}
	x.mu.Lock()
	x.tried = n
	x.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := x.c.Do(ctx, http.MethodPatch, client.Path("apps", x.app, "config-vars"), vars, nil); err != nil {
		return append(old, n)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.acked = append(x.acked, n)
	return []int{n}
}

func name(n int) string { return "N" + strconv.Itoa(n) }

var number = regexp.MustCompile(`\bN(\d+)\b`)

// newest is the greatest number in the text.
func newest(text string) int {
	most := 0
	for _, m := range number.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		most = max(most, n)
	}
	return most
}

func (x *setter) progress() (tried int, acked []int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tried, slices.Clone(x.acked)
}

// current wants what was acknowledged last to be in the state.
func (x *setter) current(t *testing.T) {
	t.Helper()
	_, acked := x.progress()
	if len(acked) == 0 {
		t.Fatal("no change was acknowledged")
	}
	vars := must[map[string]string](t)(fetch[map[string]string](t, x.c, "apps", x.app, "config-vars"))
	most := 0
	for v := range vars {
		most = max(most, newest(v))
	}
	if last := acked[len(acked)-1]; most < last {
		t.Errorf("N%d was acknowledged, the app has N%d", last, most)
	}
}

// whole wants each acknowledged change to have its release and its entry, once,
// in order, and nothing beside them that nobody asked for.
func (x *setter) whole(t *testing.T, auditor *client.Client, space string) {
	t.Helper()
	tried, acked := x.progress()
	app := must[named](t)(fetch[named](t, x.c, "apps", x.app))
	versions := map[int][]int{}
	for _, r := range must[[]release](t)(list[release](t, x.c, client.Path("apps", x.app, "releases"))) {
		if n := newest(r.Description); n > 0 {
			versions[n] = append(versions[n], r.Version)
		}
	}
	recorded := map[int]int{}
	for _, e := range must[[]entry](t)(list[entry](t, auditor, "/strongroom/ledger/entries?action=config.set&scope="+space+"&app="+app.ID)) {
		for _, d := range e.Body.Details {
			if d.Name == "set" {
				recorded[newest(d.Value)]++
			}
		}
	}
	before := 0
	for _, n := range acked {
		switch v := versions[n]; {
		case len(v) != 1 || recorded[n] != 1:
			t.Errorf("N%d was acknowledged and has %d releases and %d entries", n, len(v), recorded[n])
		case v[0] <= before:
			t.Errorf("N%d is v%d, after v%d", n, v[0], before)
		default:
			before = v[0]
		}
	}
	for n := range recorded {
		if n > tried || recorded[n] != len(versions[n]) {
			t.Errorf("N%d has %d entries and %d releases", n, recorded[n], len(versions[n]))
		}
	}
	t.Logf("config vars: %d changes tried, %d acknowledged, %d on record", tried, len(acked), len(recorded))
}

func (x *setter) String() string {
	tried, acked := x.progress()
	return fmt.Sprintf("%d changes tried, %d acknowledged", tried, len(acked))
}
