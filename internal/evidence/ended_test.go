package evidence_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pack"
)

// TestDestroyedSpace: what happened in a space can be shown when it is no more,
// to those who could see it and to nobody else.
func TestDestroyedSpace(t *testing.T) {
	l := newLab(t)
	create := &spaces.Create{Name: "cellar", Team: "care", Shield: true}
	l.Do(create, l.As("owner"))
	l.Do(&spaces.Allocated{ID: create.Space.ID}, commandtest.Platform)
	l.Set(at(time.Hour))
	l.Do(&spaces.Destroy{Identity: "cellar"}, l.As("owner"))
	l.Do(&spaces.Gone{ID: create.Space.ID}, commandtest.Platform)
	l.Set(at(3 * time.Hour))
	for _, c := range []struct {
		space    string
		from, to time.Time
		says     string
	}{
		{"cellar", at(-time.Hour), at(2 * time.Hour), "space.gone"},
		{create.Space.ID, at(-time.Hour), at(30 * time.Minute), "space.create"},
		{"cellar", at(2 * time.Hour), at(3 * time.Hour), ""},
	} {
		var buf bytes.Buffer
		if err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: c.space, Ended: true, From: c.from, To: c.to}, func(string) io.Writer { return &buf }); err != nil {
			t.Fatal(err)
		}
		l.verify(buf.Bytes(), pack.Options{})
		if !strings.Contains(members(t, buf.Bytes())["reports/space-changes.csv"], c.says) {
			t.Errorf("from %s: nothing of %s", c.from, c.says)
		}
	}
	for who, space := range map[string]string{"stranger": "cellar", "auditor": "nothing", "owner": "ward"} {
		err := l.exporter.Export(t.Context(), l.As(who), evidence.Request{Space: space, Ended: true, From: at(-time.Hour), To: at(time.Hour)}, func(string) io.Writer {
			t.Errorf("a pack of %s was begun for %s", space, who)
			return io.Discard
		})
		if fault.Of(err) != fault.NotFound {
			t.Errorf("%s of %s: %v", who, space, err)
		}
	}
}

// TestPeriodsThatCannotBe are refused with what is wrong, and nothing is on record.
func TestPeriodsThatCannotBe(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	for name, c := range map[string]struct {
		from, to time.Time
		says     string
	}{
		"in the future":    {at(-time.Hour), at(3 * time.Hour), "in the future"},
		"begins after now": {at(3 * time.Hour), at(4 * time.Hour), "in the future"},
		"empty":            {at(time.Hour), at(time.Hour), "period is empty"},
		"the wrong way":    {at(time.Hour), at(0), "period is empty"},
	} {
		before := l.Size()
		err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: c.from, To: c.to}, func(string) io.Writer { t.Error("begun"); return io.Discard })
		if fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.says) || l.Size() != before {
			t.Errorf("%s: %v, %d entries", name, err, l.Size()-before)
		}
	}
	// Before the first entry there is nothing, and that is proven.
	b := l.export(evidence.Request{From: at(-48 * time.Hour), To: at(-24 * time.Hour)})
	l.verify(b, pack.Options{})
	if n := len(rows(t, members(t, b), "access-events")); n != 1 {
		t.Errorf("%d lines of what was before there was anything", n)
	}
}
