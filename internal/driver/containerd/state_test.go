package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/internal/driver"
)

func newState(t *testing.T) *Driver {
	t.Helper()
	return &Driver{
		dirs: dirs{data: t.TempDir()}, spaces: map[string]*space{}, volumes: map[string]volumeRecord{},
	}
}

// An index is not given to another space while a space or one of its volumes
// holds it: files on disk belong to its ids.
func TestIndexes(t *testing.T) {
	d := newState(t)
	want := func(id string, index int) {
		t.Helper()
		if got, err := d.allocate(id); err != nil || got != index {
			t.Errorf("space %s has index %d, %v; want %d", id, got, err, index)
		}
	}
	want("a", 0)
	want("b", 1)
	want("a", 0)
	d.spaces["a"] = &space{}
	d.volumes["v"] = volumeRecord{Space: "b"}
	for _, id := range []string{"a", "b", "unknown"} {
		if err := d.release(id); err != nil {
			t.Fatal(err)
		}
	}
	want("c", 2)
	delete(d.volumes, "v")
	if err := d.release("b"); err != nil {
		t.Fatal(err)
	}
	again := &Driver{dirs: d.dirs, spaces: d.spaces}
	if got, err := again.allocate("e"); err != nil || got != 1 {
		t.Errorf("after a restart: %d, %v", got, err)
	}
	want("a", 0)
}

func TestIndexesRunOut(t *testing.T) {
	d := newState(t)
	all := map[string]int{}
	for i := range maxSpaces {
		all[strings.Repeat("x", i+1)] = i
	}
	if err := save(d.dirs.data, indexFile, all); err != nil {
		t.Fatal(err)
	}
	if got, err := d.allocate("one more"); err == nil {
		t.Errorf("got index %d", got)
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	r := record{ID: "x", Process: driver.Process{Args: []string{"a"}}}
	if err := save(dir, "x", r); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "x.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	all, err := loadAll[record](dir)
	if diff := cmp.Diff(map[string]record{"x": r}, all); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// What is half written is no state, and damage is not taken for it.
	if err := os.WriteFile(filepath.Join(dir, "y.json.new"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := loadAll[record](dir); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.json"), []byte(`{"ID": 5, "hush"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAll[record](dir); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
	if err := forget(dir, "x"); err != nil {
		t.Fatal(err)
	}
	if err := forget(dir, "x"); err != nil {
		t.Errorf("forgetting twice: %v", err)
	}
}

func TestOnTmpfs(t *testing.T) {
	if err := onTmpfs("/proc"); err == nil {
		t.Error("/proc passes for a tmpfs")
	}
	if err := onTmpfs("/dev/shm"); err != nil {
		t.Error(err)
	}
}

func TestLayerDirs(t *testing.T) {
	for _, tt := range []struct {
		mounts []mount.Mount
		want   []string
	}{
		{[]mount.Mount{{Type: "bind", Source: "/s/1/fs", Options: []string{"ro", "rbind"}}}, []string{"/s/1/fs"}},
		{[]mount.Mount{{Type: "overlay", Options: []string{"index=off", "lowerdir=/s/2/fs:/s/1/fs"}}}, []string{"/s/2/fs", "/s/1/fs"}},
		{[]mount.Mount{{Type: "overlay", Options: []string{"index=off"}}}, nil},
		{nil, nil},
	} {
		got, err := layerDirs(tt.mounts)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.want == nil) {
			t.Errorf("%v: %v %s", tt.mounts, err, diff)
		}
	}
}

func TestLocks(t *testing.T) {
	var l locks
	var wg sync.WaitGroup
	n := 0
	for range 50 {
		wg.Go(func() {
			defer l.lock("x")()
			n++
		})
	}
	wg.Wait()
	if n != 50 || len(l.held) != 0 {
		t.Errorf("%d, %d held", n, len(l.held))
	}
}

func TestPolicy(t *testing.T) {
	d := &Driver{
		formations: map[string]driver.Formation{
			"db":     {ID: "db", Private: true},
			"web":    {ID: "web", Peers: []string{"db"}},
			"worker": {ID: "worker"},
		},
		containers: map[string]*container{},
	}
	add := func(id, space, formation, address string, change func(*record)) {
		c := newContainer(record{ID: id, Space: space, Formation: formation, Address: address})
		if change != nil {
			change(&c.record)
		}
		d.containers[id] = c
	}
	add("1", "s", "db", "100.64.0.1", nil)
	add("2", "s", "web", "100.64.0.2", nil)
	add("3", "s", "worker", "100.64.0.3", nil)
	add("4", "s", "", "100.64.0.4", func(r *record) { r.Peers = []string{"db"} })
	add("5", "s", "", "100.64.0.5", nil)
	add("6", "s", "web", "100.64.0.6", func(r *record) { r.Exit = &driver.Exit{} }) // has ended
	add("7", "s", "gone", "100.64.0.7", nil)                                        // its formation was removed
	add("9", "s", "", "100.64.0.9", func(r *record) { r.Private = true })
	add("8", "other", "web", "100.64.64.1", nil)
	var got []string
	for _, p := range d.policy("s") {
		line := p.Address.String() + " from"
		for _, a := range p.From {
			line += " " + a.String()
		}
		got = append(got, line)
	}
	want := []string{"100.64.0.1 from 100.64.0.2 100.64.0.4", "100.64.0.7 from", "100.64.0.9 from"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTraffic(t *testing.T) {
	d := &Driver{
		spaces: map[string]*space{"s": {Space: driver.Space{ID: "s", Trusted: []string{"0.0.0.0/0"}}, Routes: &driver.Routes{Domains: []driver.Route{{Hostname: "a.b"}}}}},
		formations: map[string]driver.Formation{
			"f": {ID: "f", Space: "s", Name: "web", Process: driver.Process{Port: 5000}},
			"g": {ID: "g", Space: "s", Name: "bad"},
		},
		containers: map[string]*container{},
	}
	for i, state := range []string{driver.Up, driver.Starting, driver.Draining, driver.Up} {
		id := string(rune('1' + i))
		d.containers[id] = newContainer(record{ID: id, Space: "s", Formation: "f", State: state, Ordinal: i + 1, Dyno: "web." + id, Address: "10.0.0." + id})
	}
	d.containers["9"] = newContainer(record{ID: "9", Space: "s", Formation: "g", State: driver.Crashed, Ordinal: 1})
	got, ok := d.traffic("s")
	want := Traffic{
		Space: "s", Trusted: []string{"0.0.0.0/0"}, Routes: &driver.Routes{Domains: []driver.Route{{Hostname: "a.b"}}},
		Formations: map[string]Backends{
			"f": {Port: 5000, Instances: []BackendInstance{{"10.0.0.1", "web.1"}, {"10.0.0.4", "web.4"}}},
			"g": {Crashed: true},
		},
		Names: map[string][]string{"web": {"10.0.0.1", "10.0.0.4"}, "1.web": {"10.0.0.1"}, "4.web": {"10.0.0.4"}, "bad": nil},
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Error(diff)
	}
	if _, ok := d.traffic("unknown"); ok {
		t.Error("an unknown space has traffic")
	}
}
