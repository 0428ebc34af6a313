package builtin

import (
	"testing"
)

// TestProgramme: the catalogue that the program carries names exactly the checks
// that there are, and plans none of them.
func TestProgramme(t *testing.T) {
	p, err := Programme(Reach{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Controls) < 90 || len(p.Frameworks) < 4 || len(p.Checks) < 10 {
		t.Errorf("%d controls, %d frameworks, %d checks", len(p.Controls), len(p.Frameworks), len(p.Checks))
	}
	for _, c := range p.Controls {
		if len(c.Proof.Checks)+len(c.Proof.Reports) == 0 && c.Proof.Missing == "" && len(c.Proof.Planned) == 0 {
			t.Errorf("%s is not proven by anything and does not say what is missing", c.ID)
		}
	}
}
