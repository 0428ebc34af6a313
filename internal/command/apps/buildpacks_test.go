package apps_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestSetBuildpacks(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	a := create(w, "intake", "ward", "dev")
	set := func(list ...string) *apps.SetBuildpacks {
		return &apps.SetBuildpacks{Identity: "intake", Buildpacks: list}
	}
	w.Do(set("nodejs", "https://github.com/x/y.git#v1", "ours"), w.As("dev"))
	want := []string{"heroku/nodejs", "https://github.com/x/y.git#v1", "ours"}
	if got := commandtest.Get[*document.BuildpackList](w, a.ID); !slices.Equal(got.URLs, want) || got.Within() != w.IDs["space:ward"] {
		t.Errorf("%+v", got)
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf("pack%d", i))
	}
	for _, bad := range [][]string{
		{"http://example.org/x.git"}, {"https://user:CANARY@example.org/x.git"}, {"../up"}, {""}, {"nodejs", "heroku/nodejs"}, many,
	} {
		w.Refused(fault.Invalid, commandtest.None, set(bad...), w.As("dev"))
	}
	w.Refused(fault.Forbidden, w.IDs["space:ward"], &apps.SetBuildpacks{Identity: "clinic"}, w.As("viewer"))
	w.Refused(fault.NotFound, w.IDs["space:ward"], set(), w.As("stranger"))
	w.Do(set(), w.As("dev"))
	if got := commandtest.Get[*document.BuildpackList](w, a.ID); len(got.URLs) != 0 {
		t.Errorf("%+v", got)
	}
	w.Do(&apps.Destroy{Identity: "intake"}, w.As("owner"))
	if !w.Gone(document.KindBuildpackList, a.ID) {
		t.Error("the list outlives its app")
	}
}
