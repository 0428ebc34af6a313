package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/router"
)

func TestStrangers(t *testing.T) {
	now, before := time.Now(), time.Now().Add(-time.Hour)
	outside := edge.SpaceStatus{Refused: map[string]uint64{edge.ReasonUntrusted: 4, edge.ReasonQueueFull: 7}}
	inside := router.Status{Untrusted: 1, Rejected: 9, Strangers: []router.Stranger{{Host: "lab.example.org", Count: 2, Last: before, From: "203.0.113.7"}}}
	want := []driver.Stranger{
		{Why: driver.StrangerUntrusted, Count: 4, Last: now},
		{Why: driver.StrangerPastEdge, Count: 1, Last: now},
		{Why: driver.StrangerCertificate, Host: "lab.example.org", Count: 2, Last: before, From: "203.0.113.7"},
	}
	if diff := cmp.Diff(want, strangers(outside, inside, now)); diff != "" {
		t.Error(diff)
	}
	if list := strangers(edge.SpaceStatus{}, router.Status{}, now); list == nil || len(list) > 0 {
		t.Errorf("of nobody: %#v", list)
	}
}
