package edge

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/edge/control"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestPushRefusesTheWholeTable(t *testing.T) {
	r := newRig(t, nil)
	good := r.table("127.0.0.0/8")
	r.push(good)
	tests := []struct {
		name  string
		table Table
		says  string
	}{
		{"no id", Table{Spaces: []Space{{Socket: "/s"}}}, "no id"},
		{"relative socket", Table{Spaces: []Space{{ID: "a", Socket: "s"}}}, "absolute"},
		{"long socket", Table{Spaces: []Space{{ID: "a", Socket: "/" + strings.Repeat("s", 107)}}}, "absolute"},
		{"bad network", Table{Spaces: []Space{{ID: "a", Socket: "/s", Trusted: []string{"10.0.0.0"}}}}, "CIDR"},
		{"mapped network", Table{Spaces: []Space{{ID: "a", Socket: "/s", Trusted: []string{"::ffff:10.0.0.0/104"}}}}, "IPv4"},
		{"bad name", Table{Spaces: []Space{{ID: "a", Socket: "/s", Hostnames: []string{"Upper.example.org"}}}}, "lower case"},
		{"inner wildcard", Table{Spaces: []Space{{ID: "a", Socket: "/s", Hostnames: []string{"a.*.example.org"}}}}, "lower case"},
		{"bare wildcard", Table{Spaces: []Space{{ID: "a", Socket: "/s", Hostnames: []string{"*."}}}}, "lower case"},
		{"space twice", Table{Spaces: []Space{{ID: "a", Socket: "/s"}, {ID: "a", Socket: "/t"}}}, "twice"},
		{"name in two spaces", Table{Spaces: []Space{
			{ID: "a", Socket: "/s", Hostnames: []string{"*.example.org"}}, {ID: "b", Socket: "/t", Hostnames: []string{"*.example.org"}},
		}}, "twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table := Table{Spaces: append([]Space{{ID: "good", Socket: "/good"}}, test.table.Spaces...)}
			err := r.client.Push(t.Context(), table)
			if fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), test.says) {
				t.Errorf("push: %v, want an Invalid that says %q", err, test.says)
			}
			if got := r.status().Table; got != good.Digest() {
				t.Errorf("in force is %s, want the table before, %s", got, good.Digest())
			}
		})
	}
}

func TestPushIsStrict(t *testing.T) {
	r := newRig(t, nil)
	raw := control.NewClient(filepath.Join(r.dir, "edge.sock"))
	defer raw.Close()
	for name, body := range map[string]any{
		"unknown key": map[string]any{"spaces": []any{}, "more": 1},
		"wrong type":  map[string]any{"spaces": "none"},
		"an array":    []int{1},
	} {
		if err := raw.Do(t.Context(), http.MethodPut, "/table", body, nil); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

func TestControlIsForOneUser(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Controller = os.Getuid() + 1 })
	if err := r.client.Push(t.Context(), Table{}); fault.Of(err) != fault.Unavailable {
		t.Errorf("push by another user: %v, want Unavailable", err)
	}
}

func TestTableOutlivesTheEdge(t *testing.T) {
	first := newRig(t, nil)
	first.push(first.table("127.0.0.0/8"))
	second := newRig(t, func(c *Config) { c.TableFile = filepath.Join(first.dir, "table.json") })
	second.socket = first.socket
	second.echoRouter()
	if got, want := second.status().Table, first.status().Table; got != want {
		t.Fatalf("a new edge has table %q, want %q", got, want)
	}
	second.talk(second.dial(second.https), host)
}

func TestBrokenTableFile(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "garbage": "{", "invalid": `{"spaces":[{"space":""}]}`} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "table.json")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, func(c *Config) { c.TableFile = file })
			if got := r.status().Table; got != "" {
				t.Errorf("in force is %q, want none", got)
			}
			r.push(r.table("127.0.0.0/8"))
		})
	}
}

// A withdrawn trust must not wait for a full disk, nor come back at a restart.
func TestTableThatCannotBeKept(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.table("127.0.0.0/8"))
	file := filepath.Join(r.dir, "table.json")
	if err := os.Mkdir(file+".new", 0o700); err != nil { // so that writing it fails, also for root
		t.Fatal(err)
	}
	table := r.table("10.0.0.0/8")
	if err := r.client.Push(t.Context(), table); fault.Of(err) != fault.Unavailable {
		t.Errorf("push: %v, want Unavailable", err)
	}
	if got := r.status().Table; got != table.Digest() {
		t.Error("the table is not in force")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the table before is still kept: %v", err)
	}
}

func TestCountersOutliveTables(t *testing.T) {
	r := newRig(t, nil)
	r.push(r.table("127.0.0.0/8"))
	conn := r.dial(r.https)
	if _, err := conn.Write(hello(t, host)); err != nil {
		t.Fatal(err)
	}
	r.refusals(ReasonRouterDown, 1)
	table := r.table("127.0.0.0/8", "10.0.0.0/8")
	table.Spaces = append(table.Spaces, Space{ID: "s2", Socket: "/nowhere"})
	r.push(table)
	want := map[string]SpaceStatus{
		"s1": {Refused: map[string]uint64{ReasonRouterDown: 1}},
		"s2": {Refused: map[string]uint64{}},
	}
	if diff := cmp.Diff(want, r.status().Spaces); diff != "" {
		t.Errorf("spaces (-want +got):\n%s", diff)
	}
}
