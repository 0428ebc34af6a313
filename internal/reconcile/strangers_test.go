package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/reconcile/reconciletest"
)

// TestStrangers: refused connections are on record at once, and how many they
// become an hour later, however often they are counted in between.
func TestStrangers(t *testing.T) {
	l := reconciletest.New(t)
	l.Settle()
	ward := l.IDs["space:ward"]
	see := func(list ...driver.Stranger) (connections []string) {
		t.Helper()
		size := l.Size()
		l.Engine.Strangers = map[string][]driver.Stranger{ward: list, "none": list}
		l.Settle()
		for _, line := range l.Since(size) {
			if line.Action == "inbound.refuse" {
				connections = append(connections, line.Detail("connections"))
			}
		}
		return connections
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: entries of %v connections, want %v", what, got, want)
		}
	}
	at := l.Now()
	lab := driver.Stranger{Why: driver.StrangerCertificate, Host: "lab.example.org", Count: 3, Last: at, From: "203.0.113.7"}
	many := lab
	many.Count, many.From = 500, "203.0.113.8"
	outside := driver.Stranger{Why: driver.StrangerUntrusted, Count: 9, Last: at}

	expect("the first", see(lab), "3")
	expect("the same", see(lab))
	expect("another within the minute", see(lab, outside))
	l.Skip(time.Minute)
	expect("another", see(many, outside), "9")
	l.Skip(58 * time.Minute)
	expect("within the hour", see(many, outside))
	l.Skip(2 * time.Minute)
	expect("after an hour", see(many, outside), "497")
	l.Skip(2 * time.Hour)
	lab.Count = 2
	expect("a router that began anew", see(lab, outside), "2")

	var kept *document.Stranger
	for _, s := range commandtest.Find[*document.Stranger](l.World, "space", ward) {
		if s.Why == driver.StrangerCertificate {
			kept = s
		}
	}
	if kept == nil || kept.Count != 502 || kept.Host != "lab.example.org" || kept.From != "203.0.113.7" || !kept.Last.Equal(at) {
		t.Errorf("%+v", kept)
	}
	l.Do(&spaces.Destroy{Identity: "ward"}, l.As("root"))
	l.Settle()
	if !l.Gone(document.KindStranger, kept.ID) {
		t.Error("what was counted outlives the space")
	}
}
