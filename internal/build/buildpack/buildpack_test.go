package buildpack

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/packref"
)

func TestBuiltInsAreComplete(t *testing.T) {
	for _, name := range packref.BuiltIns() {
		files, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range []string{"detect", "compile", "release"} {
			raw, err := fs.ReadFile(files, "bin/"+script)
			if err != nil || !strings.HasPrefix(string(raw), "#!") {
				t.Errorf("%s: bin/%s: %v", name, script, err)
			}
		}
		if digest, err := Digest(files); err != nil || len(digest) != 71 {
			t.Errorf("%s: digest %q, %v", name, digest, err)
		}
	}
	if _, err := Open("heroku/none"); fault.Of(err) != fault.NotFound {
		t.Errorf("unknown built-in: %v", err)
	}
}

func TestParseRelease(t *testing.T) {
	cases := []struct {
		name, text string
		want       Release
		bad        bool
	}{
		{
			"usual", "---\naddons: []\nconfig_vars:\n  LANG: en_US.UTF-8\n  \"QUOTED\": 'it''s'\ndefault_process_types:\n  web: bin/rails server -p ${PORT:-5000} -e $RAILS_ENV\n  console: \"bin/rails \\\"c\\\"\"\n",
			Release{map[string]string{"web": "bin/rails server -p ${PORT:-5000} -e $RAILS_ENV", "console": `bin/rails "c"`}, map[string]string{"LANG": "en_US.UTF-8", "QUOTED": "it's"}},
			false,
		},
		{"empty", "--- {}\n", Release{}, true},
		{"nothing", "", Release{map[string]string{}, map[string]string{}}, false},
		{"empty maps", "---\ndefault_process_types: {}\nconfig_vars:\n", Release{map[string]string{}, map[string]string{}}, false},
		{"lists elsewhere", "addons:\n  - heroku-postgresql\n- x\nother:\n  deep:\n    - deeper: |\n", Release{map[string]string{}, map[string]string{}}, false},
		{"block scalar", "default_process_types:\n  web: |\n    x\n", Release{}, true},
		{"flow map", "default_process_types: {web: x}\n", Release{}, true},
		{"anchor", "config_vars:\n  A: &x y\n", Release{}, true},
		{"no colon", "default_process_types:\n  web\n", Release{}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseRelease([]byte(c.text))
			if c.bad {
				if fault.Of(err) != fault.Invalid {
					t.Errorf("got %+v, %v", got, err)
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

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte("---\ndefault_process_types:\n  web: x\n"))
	f.Add([]byte("config_vars:\n  A: 'b'\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseRelease(raw)
		if err != nil {
			if fault.Of(err) == "" {
				t.Errorf("an internal error: %v", err)
			}
			return
		}
		for name, command := range r.ProcessTypes {
			if name == "" || strings.ContainsRune(command, '\n') {
				t.Errorf("accepted %q: %q", name, command)
			}
		}
	})
}
