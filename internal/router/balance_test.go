package router

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPickPrefersTheLessBusy(t *testing.T) {
	busy, free := &backend{Backend: Backend{Dyno: "busy"}}, &backend{Backend: Backend{Dyno: "free"}}
	busy.requests.Store(5)
	for range 50 {
		if got := pick([]*backend{busy, free}, nil, time.Now()); got != free {
			t.Fatalf("picked %s", got.Dyno)
		}
	}
}

func TestPickPassesOver(t *testing.T) {
	now := time.Now()
	make3 := func() (a, b, c *backend, all []*backend) {
		a, b, c = &backend{}, &backend{}, &backend{}
		return a, b, c, []*backend{a, b, c}
	}
	for range 50 {
		a, b, c, all := make3()
		a.failed.Store(now.UnixNano())
		b.failed.Store(now.Add(-time.Second).UnixNano())
		c.requests.Store(1000)
		if pick(all, nil, now) != c {
			t.Fatal("picked a quarantined one while another was there")
		}
		if got := pick(all, c, now); got != a && got != b {
			t.Fatal("with only quarantined ones left, one of them has to do")
		}
		if got := pick(all, c, now.Add(quarantine)); got != a && got != b {
			t.Fatal("quarantine does not end")
		}
		if pick([]*backend{a}, a, now) != nil || pick(nil, nil, now) != nil {
			t.Fatal("picked from nothing")
		}
	}
}

// With a dead dyno in the snapshot no request is lost, and it is soon left alone.
func TestRetriesElsewhere(t *testing.T) {
	r := newRig(t, nil)
	live := backendOf(t, "web.2", func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) })
	r.push(r.host("app.example.org", nobody(t, "web.1"), live))
	client := r.http(1, nil)
	for i := range 50 {
		want := fmt.Sprint("body ", i)
		response, err := client.Post("https://app.example.org/", "text/plain", strings.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, response); response.StatusCode != 200 || got != want {
			t.Fatalf("request %d: %d %q", i, response.StatusCode, got)
		}
		if text := r.nextLog().Text; !strings.Contains(text, "dyno=web.2 ") {
			t.Fatalf("access line %s", text)
		}
	}
	for _, b := range r.status().Backends {
		if b.Requests != 0 {
			t.Errorf("%s still counts %d requests", b.Dyno, b.Requests)
		}
	}
}

func TestDrains(t *testing.T) {
	r := newRig(t, nil)
	arrived, finish := make(chan bool), make(chan bool)
	old := backendOf(t, "web.1", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-finish
		_, _ = io.WriteString(w, "old")
	})
	young := backendOf(t, "web.2", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "young") })
	host := r.host("app.example.org", old)
	r.push(host)
	answer := make(chan string, 1)
	go func() {
		response, err := r.http(2, nil).Get("https://app.example.org/")
		if err != nil {
			answer <- err.Error()
			return
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answer <- string(content)
	}()
	<-arrived
	host.Backends = []Backend{young}
	r.push(host)
	for range 10 {
		if _, got := get(t, r.http(1, nil), "https://app.example.org/"); got != "young" {
			t.Fatalf("a new request got %q", got)
		}
	}
	find := func(dyno string) (BackendStatus, bool) {
		for _, b := range r.status().Backends {
			if b.Dyno == dyno {
				return b, true
			}
		}
		return BackendStatus{}, false
	}
	want := BackendStatus{Address: old.Address, Dyno: "web.1", Requests: 1, Draining: true}
	if got, _ := find("web.1"); got != want {
		t.Errorf("the old dyno is %+v, want %+v", got, want)
	}
	close(finish)
	if got := <-answer; got != "old" {
		t.Errorf("the open request got %q", got)
	}
	r.eventually("the old dyno is gone", func() bool { _, there := find("web.1"); return !there })

	// One that comes back takes requests again.
	host.Backends = []Backend{young}
	r.push(host)
	if got, _ := find("web.2"); got.Draining {
		t.Error("the young dyno is draining")
	}
}

// acquire and replace together promise that a backend that is seen draining
// without requests never gets one.
func TestAcquireRefusesDraining(t *testing.T) {
	var r registry
	snapshot := Snapshot{Hosts: []Host{{Backends: []Backend{{Address: "a", Dyno: "web.1"}}}}}
	first := r.prepare(snapshot)
	r.replace(first, func() {})
	b := first[Backend{Address: "a", Dyno: "web.1"}]
	if !b.acquire() {
		t.Fatal("a backend of the snapshot is refused")
	}
	r.replace(r.prepare(Snapshot{}), func() {})
	if b.acquire() {
		t.Fatal("a draining backend is given out")
	}
	if diff := cmp.Diff([]BackendStatus{{Address: "a", Dyno: "web.1", Requests: 1, Draining: true}}, r.status()); diff != "" {
		t.Error(diff)
	}
	// It returns before its last request ended: the same one counts on.
	again := r.prepare(snapshot)
	if again[Backend{Address: "a", Dyno: "web.1"}] != b {
		t.Error("a returning backend lost its count")
	}
	r.replace(again, func() {})
	if !b.acquire() {
		t.Error("a returning backend is refused")
	}
	b.release()
	b.release()
	r.replace(r.prepare(Snapshot{}), func() {})
	if left := r.status(); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// Snapshots change all the time while requests are under way; every dyno that
// leaves is stopped once the router says that it has drained. Nothing may fail.
func TestNoRequestIsLost(t *testing.T) {
	r := newRig(t, nil)
	host := r.host("app.example.org")
	type dyno struct {
		Backend
		stopped atomic.Bool
		late    atomic.Int64
	}
	start := func(i int) *dyno {
		d := &dyno{}
		d.Backend = backendOf(t, fmt.Sprintf("web.%d", i), func(w http.ResponseWriter, _ *http.Request) {
			if d.stopped.Load() {
				d.late.Add(1)
			}
			time.Sleep(time.Millisecond)
			_, _ = io.WriteString(w, "ok")
		})
		return d
	}
	present := []*dyno{start(1), start(2)}
	apply := func() {
		host.Backends = nil
		for _, d := range present {
			host.Backends = append(host.Backends, d.Backend)
		}
		r.push(host)
	}
	apply()

	stop := make(chan bool)
	var load sync.WaitGroup
	var done, failed atomic.Int64
	for worker := range 8 {
		client := r.http(1+worker%2, nil)
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := client.Post("https://app.example.org/", "text/plain", strings.NewReader("x"))
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				content, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != 200 || string(content) != "ok" {
					failed.Add(1)
					t.Errorf("%d %s", response.StatusCode, content)
				}
				done.Add(1)
			}
		})
	}
	go func() { // nobody reads the access lines otherwise, which is fine too
		for {
			if _, err := r.logs.ReadBytes('\n'); err != nil {
				return
			}
		}
	}()
	var left []*dyno
	for i := 3; i < 30; i++ {
		leaving := present[0]
		present = append(present[1:], start(i))
		apply()
		r.eventually("drained", func() bool {
			for _, b := range r.status().Backends {
				if b.Dyno == leaving.Dyno {
					return false
				}
			}
			return true
		})
		leaving.stopped.Store(true)
		left = append(left, leaving)
	}
	close(stop)
	load.Wait()
	for _, d := range left {
		if n := d.late.Load(); n > 0 {
			t.Errorf("%s got %d requests after it had drained", d.Dyno, n)
		}
	}
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
}
