package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestSpecIsChecked(t *testing.T) {
	good := Spec{Name: "router-1.a_b", Args: []string{"/bin/true"}}
	for name, test := range map[string]struct {
		change func(*Spec)
		kind   fault.Kind
	}{
		"good":             {func(*Spec) {}, ""},
		"no name":          {func(s *Spec) { s.Name = "" }, fault.Invalid},
		"climbing name":    {func(s *Spec) { s.Name = "../x" }, fault.Invalid},
		"dots":             {func(s *Spec) { s.Name = ".." }, fault.Invalid},
		"long name":        {func(s *Spec) { s.Name = strings.Repeat("x", 101) }, fault.Invalid},
		"no program":       {func(s *Spec) { s.Args = nil }, fault.Invalid},
		"relative program": {func(s *Spec) { s.Args = []string{"true"} }, fault.Invalid},
		"negative uid":     {func(s *Spec) { s.UID = -1 }, fault.Invalid},
		"two ways to ask":  {func(s *Spec) { s.Control, s.Probe = "/x", ProbeSocket("/x") }, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			spec := good
			test.change(&spec)
			if err := New(Config{}, testLog(t)).Ensure(spec); fault.Of(err) != test.kind {
				t.Errorf("Ensure = %v, want kind %q", err, test.kind)
			}
		})
	}
}

func TestChildInherits(t *testing.T) {
	spec := testSpec(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	path := filepath.Join(t.TempDir(), "report")
	spec.Env = append(spec.Env, "REPORT="+path)
	spec.Dir = t.TempDir()
	spec.Files = []*os.File{file}
	spec.Umask = 0o077
	spec.NoNewPrivs = true
	s := started(t, Config{}, spec)
	ready(t, s, "child")
	got := readReport(t, path)
	if got.Dir != spec.Dir || got.Umask != 0o077 || got.Status["NoNewPrivs"] != "1" || got.UID != spec.UID {
		t.Errorf("child reports %+v", got)
	}
	if got.File != file.Name() {
		t.Errorf("descriptor 3 is %q, want %q", got.File, file.Name())
	}
	// What the thread took on for the child must not stay with the supervisor.
	mine := filepath.Join(t.TempDir(), "mine")
	if err := writeReport(mine); err != nil {
		t.Fatal(err)
	}
	if r := readReport(t, mine); r.Umask == 0o077 || r.Status["NoNewPrivs"] != "0" {
		t.Errorf("the supervisor's own umask is %o, NoNewPrivs %s", r.Umask, r.Status["NoNewPrivs"])
	}
}

func TestOutputIsBounded(t *testing.T) {
	spec := testSpec(t)
	if err := os.WriteFile(spec.Output, []byte(strings.Repeat("old\n", 30)), 0o640); err != nil {
		t.Fatal(err)
	}
	spec.OutputMax = 100
	s := started(t, Config{}, spec)
	ready(t, s, "child")
	if old := readFile(t, spec.Output+".1"); old != strings.Repeat("old\n", 30) {
		t.Errorf("moved file = %q", old)
	}
	eventually(t, "output grows", func() bool { return len(readFile(t, spec.Output)) > 300 })
	if err := trimOutput(spec.Output, 100); err != nil {
		t.Fatal(err)
	}
	if old := readFile(t, spec.Output+".1"); !strings.Contains(old, "lives") {
		t.Errorf("copy = %q", old)
	}
	eventually(t, "the child goes on in the emptied file", func() bool {
		now := readFile(t, spec.Output)
		return len(now) > 0 && len(now) < 300 && !strings.Contains(now, "\x00")
	})
}

func TestOutputDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	link := filepath.Join(dir, "output")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if f, err := openOutput(link, 100); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
}

func TestBuildID(t *testing.T) {
	id, err := BuildID()
	if err != nil || len(id) < 10 {
		t.Errorf("BuildID = %q, %v", id, err)
	}
	if linkerID(strings.NewReader("no program")) != "" {
		t.Error("text has a linker id")
	}
}
