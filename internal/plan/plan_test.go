package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/plan"
)

func TestActions(t *testing.T) {
	// wanted is a space with a web formation and a database.
	wanted := plan.Desired{
		Spaces:     map[string]plan.Space{"s1": {Digest: "d1", Routes: "r1", Allocated: true}},
		Volumes:    map[string]string{"v1": "s1", "v2": "s1"},
		Formations: map[string]plan.Formation{"web": {Digest: "w1", Space: "s1"}, "db": {Digest: "b1", Space: "s1", Volumes: []string{"v1", "v2"}}},
	}
	inForce := driver.Observation{
		Spaces:     []driver.ObservedSpace{{ID: "s1", Digest: "d1", Routes: "r1"}},
		Volumes:    []driver.ObservedVolume{{ID: "v1", Unlocked: true}, {ID: "v2", Unlocked: true}},
		Formations: []driver.ObservedFormation{{ID: "db", Digest: "b1", Space: "s1"}, {ID: "web", Digest: "w1", Space: "s1"}},
	}
	tests := []struct {
		name     string
		desired  plan.Desired
		observed driver.Observation
		want     []plan.Action
	}{
		{"nothing to do", wanted, inForce, nil},
		{"everything, in order", wanted, driver.Observation{}, []plan.Action{
			{plan.EnsureSpace, "s1"}, {plan.UnlockVolume, "v1"}, {plan.UnlockVolume, "v2"}, {plan.ApplyFormation, "web"}, {plan.ApplyRoutes, "s1"},
		}},
		{
			"a database starts once its volumes are open",
			wanted,
			driver.Observation{Spaces: inForce.Spaces, Volumes: inForce.Volumes, Formations: inForce.Formations[1:]},
			[]plan.Action{{plan.ApplyFormation, "db"}},
		},
		{
			"a database that runs is not changed before a volume that the change needs is there",
			wanted,
			driver.Observation{
				Spaces: inForce.Spaces, Volumes: inForce.Volumes[:1],
				Formations: []driver.ObservedFormation{{ID: "db", Digest: "b0", Space: "s1"}, inForce.Formations[1]},
			},
			[]plan.Action{{plan.UnlockVolume, "v2"}},
		},
		{
			"a new space is recorded once the engine has it",
			plan.Desired{Spaces: map[string]plan.Space{"s1": {Digest: "d1"}}},
			driver.Observation{Spaces: []driver.ObservedSpace{{ID: "s1", Digest: "d1"}}},
			[]plan.Action{{plan.SpaceAllocated, "s1"}},
		},
		{
			"a space whose rules changed",
			plan.Desired{Spaces: map[string]plan.Space{"s1": {Digest: "d2", Allocated: true}}},
			driver.Observation{Spaces: []driver.ObservedSpace{{ID: "s1", Digest: "d1"}}},
			[]plan.Action{{plan.EnsureSpace, "s1"}},
		},
		{
			"a deleted space: formations, space, then the record",
			plan.Desired{Spaces: map[string]plan.Space{"s1": {Deleting: true}}},
			driver.Observation{
				Spaces:     []driver.ObservedSpace{{ID: "s1"}},
				Formations: []driver.ObservedFormation{{ID: "web", Space: "s1"}},
			},
			[]plan.Action{{plan.RemoveFormation, "web"}, {plan.RemoveSpace, "s1"}},
		},
		{
			"nothing is left of a deleted space",
			plan.Desired{Spaces: map[string]plan.Space{"s1": {Deleting: true}}},
			driver.Observation{},
			[]plan.Action{{plan.SpaceGone, "s1"}},
		},
		{
			"a space that the ledger does not know is left alone",
			plan.Desired{},
			driver.Observation{
				Spaces:     []driver.ObservedSpace{{ID: "stray"}},
				Formations: []driver.ObservedFormation{{ID: "x", Space: "stray"}},
			},
			nil,
		},
		{
			"nothing is started in a space that is being deleted",
			plan.Desired{
				Spaces:     map[string]plan.Space{"s1": {Deleting: true, Routes: "r1"}},
				Volumes:    map[string]string{"v1": "s1"},
				Formations: map[string]plan.Formation{"web": {Digest: "w1", Space: "s1"}},
			},
			driver.Observation{Spaces: []driver.ObservedSpace{{ID: "s1"}}},
			[]plan.Action{{plan.RemoveSpace, "s1"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, plan.Actions(tt.desired, tt.observed)); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
		})
	}
}
