package driver

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/fault"
)

func formation() Formation {
	return Formation{
		ID: uuid.NewString(), Space: uuid.NewString(), Name: "web", Quantity: 1,
		Labels:  Labels{App: uuid.NewString(), Source: "app", Type: "web"},
		Process: Process{Image: "sha256:" + strings.Repeat("a", 64), Args: []string{"run"}},
	}
}

func TestFormationValidate(t *testing.T) {
	if err := formation().Validate(); err != nil {
		t.Fatal(err)
	}
	volume := uuid.NewString()
	for name, change := range map[string]func(*Formation){
		"id":              func(f *Formation) { f.ID = "../../etc" },
		"upper-case id":   func(f *Formation) { f.ID = strings.ToUpper(f.ID) },
		"name":            func(f *Formation) { f.Name = "Web.x" },
		"quantity":        func(f *Formation) { f.Quantity = MaxQuantity + 1 },
		"grace":           func(f *Formation) { f.Grace = -1 },
		"app":             func(f *Formation) { f.Labels.App = "x" },
		"type":            func(f *Formation) { f.Labels.Type = "web/../x" },
		"image":           func(f *Formation) { f.Process.Image = "latest" },
		"no command":      func(f *Formation) { f.Process.Args = nil },
		"uid":             func(f *Formation) { f.Process.UID = 65536 },
		"port":            func(f *Formation) { f.Process.Port = 65536 },
		"memory":          func(f *Formation) { f.Process.Limits.MemoryBytes = -1 },
		"dir":             func(f *Formation) { f.Process.Dir = "app" },
		"env name":        func(f *Formation) { f.Process.Env = []EnvVar{{Name: "A=B"}} },
		"env value":       func(f *Formation) { f.Process.Env = []EnvVar{{Name: "A", Value: "\x00"}} },
		"mount over proc": func(f *Formation) { f.Process.Mounts = []Mount{{Volume: volume, Path: "/proc/x"}} },
		"mount over root": func(f *Formation) { f.Process.Mounts = []Mount{{Volume: volume, Path: "/"}} },
		"mount climbs":    func(f *Formation) { f.Process.Mounts = []Mount{{Volume: volume, Path: "/a/../../b"}} },
		"dir climbs":      func(f *Formation) { f.Process.Mounts = []Mount{{Volume: volume, Path: "/a", Dir: "../x"}} },
		"absolute dir":    func(f *Formation) { f.Process.Mounts = []Mount{{Volume: volume, Path: "/a", Dir: "/x"}} },
	} {
		f := formation()
		change(&f)
		if err := f.Validate(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func TestRoutesValidate(t *testing.T) {
	for name, ok := range map[string]bool{
		"shop.example.org": true, "*.example.org": true, "xn--bcher-kva.example": true, "a": true,
		"Shop.example.org": false, "a.*.example.org": false, "*": false, "": false, "-a.example": false,
		"a..b": false, "a b": false, "example.org.": false, strings.Repeat("a.", 130) + "b": false,
	} {
		r := Routes{Space: uuid.NewString(), Domains: []Route{{Hostname: name}}}
		if err := r.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	secret := "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----"
	r := Routes{Space: uuid.NewString(), Domains: []Route{{Hostname: "a.b", Certificate: "x", Key: secret}}}
	if err := r.Validate(); fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}

// Values of the environment are secrets: no error quotes them.
func TestErrorsDoNotQuoteValues(t *testing.T) {
	f := formation()
	f.Process.Env = []EnvVar{{Name: "A", Value: "hush\x00"}}
	if err := f.Validate(); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}
