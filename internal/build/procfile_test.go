package build

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestParseProcfile(t *testing.T) {
	cases := []struct {
		name, text string
		want       Procfile
		says       string // of the refusal
	}{
		{"usual", "web: npm start\nworker: node w.js\n", Procfile{Types: []ProcessType{{"web", "npm start"}, {"worker", "node w.js"}}}, ""},
		{"release", "release: ./migrate && true\nweb: x", Procfile{Types: []ProcessType{{"web", "x"}}, Release: "./migrate && true"}, ""},
		{"from Windows", "\ufeffweb: x\r\n\r\n# note\r\n  worker :  y  \r\n", Procfile{Types: []ProcessType{{"web", "x"}, {"worker", "y"}}}, ""},
		{"colons in the command", "web: node --title=a:b http://x", Procfile{Types: []ProcessType{{"web", "node --title=a:b http://x"}}}, ""},
		{"empty", "", Procfile{}, ""},
		{"no colon", "web npm start", Procfile{}, "line 1 is not of the form"},
		{"no command", "web: a\nworker:   ", Procfile{}, `line 2: "worker" has no command`},
		{"twice", "web: a\nweb: b", Procfile{}, `line 2 declares "web" a second time`},
		{"capitals", "Web: a", Procfile{}, "lower-case letters"},
		{"a path", "../x: a", Procfile{}, "lower-case letters"},
		{"run", "run: a", Procfile{}, "one-off dynos"},
		{"control characters", "web: a\x00b", Procfile{}, "control characters"},
		{"not text", "web: \xff\xfe", Procfile{}, "not UTF-8"},
		{"long command", "web: " + strings.Repeat("x", 9000), Procfile{}, "longer than"},
		{"large", strings.Repeat("#\n", 40000), Procfile{}, "larger than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseProcfile([]byte(c.text))
			if c.says != "" {
				if err == nil || !strings.Contains(fault.Message(err), c.says) {
					t.Fatalf("got %v, want a refusal that says %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseProcfile(f *testing.F) {
	for _, s := range []string{"web: x\n", "release: a\r\nweb:b", ":", "a:\x00", "\ufeffweb: x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParseProcfile(raw)
		if err != nil {
			if fault.Of(err) == "" {
				t.Errorf("an internal error: %v", err)
			}
			return
		}
		for _, pt := range p.Types {
			if !processPattern.MatchString(pt.Type) || pt.Command == "" || strings.ContainsAny(pt.Command, "\n\x00\x1b") {
				t.Errorf("accepted %+v", pt)
			}
		}
	})
}
