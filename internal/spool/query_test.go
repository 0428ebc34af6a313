package spool

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// journalOver writes lines 0…n-1 over several segments: dynos web.1, web.2 and
// worker.1 in turn, every fifth line by the router.
func journalOver(t *testing.T, n int) *journal {
	t.Helper()
	j := testJournal(t, t.TempDir(), func(c *Config) { c.SegmentBytes = 500 })
	for i := range n {
		source, dyno := "app", []string{"web.1", "web.2", "worker.1"}[i%3]
		if i%5 == 0 {
			source, dyno = "heroku", "router"
		}
		b := j.begin()
		b.add(time.Time{}, source, dyno, fmt.Append(nil, i))
		b.end()
		j.flushed(t)
	}
	return j
}

func TestQuery(t *testing.T) {
	j := journalOver(t, 60)
	everything := j.read(t, driver.LogQuery{Lines: 1000})
	if len(everything) != 60 {
		t.Fatalf("%d lines", len(everything))
	}
	if segments, _ := j.view(); len(segments) < 4 {
		t.Fatalf("only %d segments", len(segments))
	}
	for name, test := range map[string]struct {
		query driver.LogQuery
		want  string
	}{
		"none":            {driver.LogQuery{}, ""},
		"newest":          {driver.LogQuery{Lines: 3}, "57 58 59"},
		"by dyno":         {driver.LogQuery{Lines: 3, Dyno: "worker.1"}, "53 56 59"},
		"by type":         {driver.LogQuery{Lines: 4, Dyno: "web"}, "52 54 57 58"},
		"by half a type":  {driver.LogQuery{Lines: 4, Dyno: "we"}, ""},
		"by source":       {driver.LogQuery{Lines: 2, Source: "heroku"}, "50 55"},
		"by both":         {driver.LogQuery{Lines: 2, Source: "app", Dyno: "router"}, ""},
		"after":           {driver.LogQuery{After: everything[56].ID}, "57 58 59"},
		"after, filtered": {driver.LogQuery{After: everything[49].ID, Source: "heroku"}, "50 55"},
		"after wins":      {driver.LogQuery{After: everything[58].ID, Lines: 10}, "59"},
		"after the last":  {driver.LogQuery{After: everything[59].ID, Lines: 10}, ""},
		"after none":      {driver.LogQuery{After: formatID(1), Source: "heroku", Dyno: "router"}, "0 5 10 15 20 25 30 35 40 45 50 55"},
		"rare in the old": {driver.LogQuery{Lines: 100, Dyno: "router"}, "0 5 10 15 20 25 30 35 40 45 50 55"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(texts(j.read(t, test.query)), " ")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
	for n := range 60 {
		got := texts(j.read(t, driver.LogQuery{Lines: n}))
		if diff := cmp.Diff(texts(everything[60-n:]), got); diff != "" {
			t.Fatalf("newest %d (-want +got):\n%s", n, diff)
		}
	}
}

func TestQueryOfAnUnknownID(t *testing.T) {
	j := journalOver(t, 1)
	for _, id := range []string{"x", "zzzzzzzzzzzzzzzz", "00000000000000000001"} {
		if _, err := newQuery(j, "", driver.LogQuery{After: id}, testLog(t)); fault.Of(err) != fault.Invalid {
			t.Errorf("after %q: %v", id, err)
		}
	}
}

// A damaged segment costs its own lines, and the answer says so.
func TestDamageIsTold(t *testing.T) {
	j := journalOver(t, 60)
	segments, _ := j.view()
	damaged := segments[1]
	file, err := os.OpenFile(damaged.path(j.out.dir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{0xff, 0xff}, damaged.size/2); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	got := j.read(t, driver.LogQuery{After: formatID(1)})
	if len(got) < 45 || len(got) >= 60 || got[len(got)-1].Text != "59" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1].Text)
	}
	told := 0
	for _, line := range got {
		if strings.Contains(line.Text, "cannot be read") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the gap is told %d times", told)
	}
}
