package compliance

import (
	"context"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/document"
)

func attempt(id string) *Check {
	return &Check{ID: id, Try: func(context.Context) ([]Result, error) { return nil, nil }}
}

func proof(checks, planned string) *Control {
	return &Control{ID: "a", Proof: Proof{Checks: strings.Fields(checks), Planned: strings.Fields(planned)}}
}

func TestJoin(t *testing.T) {
	for want, test := range map[string]struct {
		control *Control
		checks  []*Check
	}{
		"":                                  {proof("door", "window"), []*Check{attempt("door")}},
		"no control names the check window": {proof("door", ""), []*Check{attempt("door"), attempt("window")}},
		"control a names the check door, which does not exist": {proof("door", ""), nil},
		"control a plans the check window, which exists":       {proof("door window", "window"), []*Check{attempt("door"), attempt("window")}},
		"there are two checks door":                            {proof("door", ""), []*Check{attempt("door"), attempt("door")}},
		"the check door needs either State or Try":             {proof("door", ""), []*Check{{ID: "door"}}},
	} {
		_, err := Join(&Catalogue{Controls: []*Control{test.control}}, test.checks)
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestJudge: what is not yet proven never passes.
func TestJudge(t *testing.T) {
	reports := &Control{Proof: Proof{Reports: []string{"users"}}}
	for _, test := range []struct {
		control      *Control
		checks, want string
	}{
		{proof("door", ""), document.StatusPass, document.StatusPass},
		{proof("door", ""), document.StatusUnknown, document.StatusUnknown},
		{proof("door", "window"), document.StatusPass, StatusUnproven},
		{proof("door", "window"), document.StatusUnknown, StatusUnproven},
		{proof("door", "window"), document.StatusFail, document.StatusFail},
		{proof("", "window"), document.StatusNotApplicable, StatusUnproven},
		{proof("", ""), document.StatusNotApplicable, StatusUnproven},
		{reports, document.StatusNotApplicable, StatusReported},
	} {
		if got := test.control.judge(test.checks); got != test.want {
			t.Errorf("%+v with checks that say %s is %s, want %s", test.control.Proof, test.checks, got, test.want)
		}
	}
}
