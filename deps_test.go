package strongroom

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// contract is a limit on what packages may import. Patterns are paths from the
// repository's root; "a/..." is a and all below it. A package is always free
// to import those that its own contracts do not mention; the standard library
// and other modules are limited by noStd, noIO and TestLightVerifier.
type contract struct {
	who   []string
	but   []string // packages that who matches and the contract does not bind
	only  []string // of our packages, these and no others; nil = no such limit
	never []string // of our packages, none of these
	noStd []string // of the standard library, none of these
	why   string
}

// noIO is what reaches outside of the program.
var noIO = []string{"os", "os/exec", "net", "net/http", "net/rpc", "database/sql", "syscall", "io/ioutil", "path/filepath"}

// engines are the implementations of package driver.
var engines = []string{"internal/driver/containerd/...", "internal/driver/memory", "internal/driver/remote", "internal/engine"}

// contracts are the forbidden imports, each group with its reason.
var contracts = []contract{
	// What an auditor reads.
	{
		who: []string{"internal/fault", "internal/edge/hostname", "internal/edge/confine", "internal/edge/handover", "internal/pattern", "internal/ciphers", "internal/egress", "client"}, only: []string{},
		why: "everybody may import it, so it imports nobody",
	},
	{
		who: []string{"internal/ledger"}, only: []string{"internal/fault"},
		why: "an auditor must be able to read all that a verdict rests on",
	},
	{
		who: []string{"internal/pack"}, only: []string{"internal/fault", "internal/ledger"},
		why: "the offline verifier must not depend on the platform that it judges",
	},
	{
		who: []string{"internal/evidence/reader"}, only: []string{}, noStd: noIO,
		why: "the verifier in the browser is its script and its page: the same for every pack and every installation",
	},
	{
		who: []string{"internal/sample"}, only: []string{"internal/fault", "internal/ledger", "internal/pack"},
		why: "a sample is drawn from the pack alone, by whoever has it",
	},

	{
		who: []string{"internal/timestamp"}, only: []string{"internal/fault"}, noStd: noIO,
		why: "it takes strangers' bytes apart, and needs nothing for it",
	},
	{
		who: []string{"internal/witness"}, only: []string{"internal/fault", "internal/ledger"},
		why: "a witness is worth as much as it is independent: it knows logs, not the platform",
	},

	{
		who:  []string{"internal/outside"},
		only: []string{"internal/command/installation", "internal/control", "internal/fault", "internal/ledger", "internal/store", "internal/timestamp", "internal/witness"},
		why:  "what it shows to people outside are checkpoints, in which nothing of anybody is",
	},

	// The core: what is decided and recorded.
	{
		who: []string{"internal/document"}, only: []string{"internal/egress", "internal/fault", "internal/pattern"}, noStd: noIO,
		why: "documents live six years: plain values, decoded purely, without I/O",
	},
	{
		who: []string{"internal/secret", "internal/blob"}, only: []string{"internal/fault"},
		why: "what handles keys depends on nothing that could leak them",
	},
	{
		who: []string{"internal/store"}, only: []string{"internal/document", "internal/fault", "internal/ledger", "internal/secret"},
		why: "the store keeps documents and entries; what they mean is decided above it",
	},
	{
		who:  []string{"internal/store/sqlite"},
		only: []string{"internal/document", "internal/fault", "internal/ledger", "internal/secret", "internal/store"},
		why:  "a database implements the store and knows nothing of its users",
	},
	{
		who: []string{"internal/authz"}, only: []string{"internal/document", "internal/store"}, noStd: noIO,
		why: "authorisation is a function of the state and of nothing else",
	},
	{
		who:  []string{"internal/control"},
		only: []string{"internal/authz", "internal/document", "internal/fault", "internal/ledger", "internal/secret", "internal/store"},
		why:  "the kernel is the only write path and has no commands in it",
	},
	{
		who: []string{"internal/command/..."},
		only: []string{
			"internal/command/...", "internal/authz", "internal/certificate", "internal/control", "internal/document", "internal/fault", "internal/ledger", "internal/pattern",
			"internal/packref", "internal/secret", "internal/store",
		},
		noStd: noIO,
		why:   "a command decides inside the writer's transaction: what it did itself could not be undone with it",
	},
	{
		who:   []string{"internal/query"},
		only:  []string{"internal/authz", "internal/control", "internal/document", "internal/fault", "internal/ledger", "internal/store"},
		noStd: noIO,
		why:   "a read answers from the state",
	},
	{
		who:   []string{"internal/past"},
		only:  []string{"internal/authz", "internal/document", "internal/fault", "internal/ledger", "internal/store"},
		noStd: noIO,
		why:   "what was is told by the entries alone, and who could do what by authz",
	},
	{
		who: []string{"internal/view"}, only: []string{"internal/document", "internal/fault", "internal/ledger"},
		noStd: []string{"os", "os/exec", "net/http", "database/sql", "context"},
		why:   "a view is a pure function of documents, so that API, CLI and reports show the same",
	},
	{
		who: []string{"internal/workbook", "internal/paper"}, only: []string{}, noStd: noIO,
		why: "they lay out what they are given, and know nothing of what it means",
	},
	{
		who: []string{"internal/plan"}, only: []string{"internal/driver"}, noStd: append(slices.Clone(noIO), "context", "time"),
		why: "planning is pure, so that it is tested as a table of values",
	},

	// The edges: they authenticate and translate.
	{
		who:   []string{"internal/api", "internal/gateway", "internal/logs", "internal/build/git"},
		never: append(slices.Clone(engines), "internal/store/sqlite", "internal/server", "internal/cli"),
		why:   "edges never choose a database or an engine: what they need are small interfaces of their own",
	},
	{
		who: []string{"internal/api"}, never: []string{"internal/driver/...", "internal/reconcile", "internal/operation", "internal/build/..."},
		why: "the API changes the ledger; what follows from that is done by others, from what is recorded",
	},
	{
		who: []string{"internal/gateway"}, only: []string{"internal/driver", "internal/fault", "internal/recording"},
		why: "the gateway decides nothing about who may do what: whoever gives it sessions has had them recorded",
	},
	{
		who:  []string{"internal/build/git"},
		only: []string{"internal/fault", "internal/pattern"},
		why:  "it feeds strangers' bytes to git; a gate and a deployer are given to it",
	},
	{
		who: []string{"internal/cli"},
		only: []string{
			"client", "images", "internal/engine", "internal/evidence/reader", "internal/fault", "internal/image", "internal/ledger", "internal/pack", "internal/recording",
			"internal/sample", "internal/server", "internal/simulation", "internal/store/sqlite", "internal/supervise", "internal/witness", "internal/timestamp",
		},
		why: "the command line talks to a server through client; besides, it verifies offline, simulates, and is the door to the processes",
	},
	{
		who: []string{"cmd/strongroom"}, only: []string{"internal/cli"},
		why: "main is os.Exit(cli.Main(…)) and nothing else",
	},

	// What drives an engine knows the contract, not the engine.
	{
		who: []string{
			"internal/reconcile", "internal/operation", "internal/deploy", "internal/shell", "internal/postgres", "internal/build", "internal/recording",
			"internal/evidence", "internal/image", "internal/probe",
		},
		never: append(slices.Clone(engines), "internal/api", "internal/server", "internal/store/sqlite"),
		why:   "the same ledger must be able to drive another engine and another database",
	},
	{
		who: []string{"internal/alert"},
		only: []string{
			"internal/command/alerts", "internal/control", "internal/document", "internal/fault", "internal/ledger", "internal/secret", "internal/store",
		},
		why: "what is sent outside is told by entries alone, and how that went by a command",
	},
	{
		who: []string{"internal/evidence"}, never: []string{"internal/driver/..."},
		why: "a report is a query over the ledger",
	},

	// What is checked, and what that shows.
	{
		who: []string{"catalog"}, only: []string{},
		why: "the catalogue is data, which others may read without the program",
	},
	{
		who:   []string{"internal/compliance"},
		never: append(slices.Clone(engines), "internal/driver/...", "internal/api", "internal/server", "internal/store/sqlite", "internal/query"),
		why:   "status is computed from entries alone: what a check reaches outside of them it is given",
	},
	{
		who: []string{"internal/compliance/state"}, only: []string{"internal/compliance", "internal/document", "internal/store"},
		noStd: append(slices.Clone(noIO), "context"),
		why:   "such a check is a pure function of the state, so that any past moment can be checked again",
	},
	{
		who:   []string{"internal/compliance/attempt"},
		never: append(slices.Clone(engines), "internal/api", "internal/server", "internal/store/sqlite", "internal/reconcile", "internal/operation"),
		why:   "an attempt meets the platform as a stranger does; what it reaches out to it is given",
	},
	{
		who: []string{"internal/compliance/host"}, only: []string{"internal/compliance", "internal/document", "internal/driver", "internal/fault", "internal/store"},
		why: "the server is not root: what is on the host the engine says",
	},

	{
		who: []string{"internal/compliance/record"}, only: []string{"internal/compliance", "internal/control", "internal/document", "internal/ledger", "internal/outside", "internal/store"}, noStd: noIO,
		why: "such a check reads the record through the store, as everybody does",
	},

	// Engines drive what runs and know nothing of why.
	{
		who: []string{"internal/driver"}, only: []string{"internal/egress", "internal/fault", "internal/pattern"},
		why: "the contract is values that travel between processes",
	},
	{
		who: []string{"internal/driver/formation"}, only: []string{"internal/driver"}, noStd: noIO,
		why: "which instances are started and drained is a pure plan, shared by all engines",
	},
	{
		who: []string{"internal/driver/memory"}, only: []string{"internal/driver/...", "internal/fault"},
		why: "a driver imports the contract and what it drives",
	},
	{
		who: []string{"internal/driver/remote"}, only: []string{"internal/driver", "internal/driver/pipe", "internal/fault"},
		why: "a driver imports the contract and what it drives",
	},
	{
		who: []string{"internal/driver/containerd"},
		only: []string{
			"internal/driver", "internal/driver/formation", "internal/driver/containerd/...", "internal/fault", "internal/spool",
		},
		why: "a driver imports the contract and what it drives",
	},
	{
		who: []string{"internal/driver/containerd/network", "internal/driver/containerd/volume"}, only: []string{"internal/driver", "internal/egress", "internal/fault", "internal/pattern"},
		why: "a driver imports the contract and what it drives",
	},
	{
		who: []string{"internal/engine"},
		never: []string{
			"internal/store/...", "internal/control", "internal/command/...", "internal/document", "internal/secret", "internal/ledger",
			"internal/blob", "internal/api", "internal/server", "internal/query",
		},
		why: "root holds no ledger and no master key: it does what the server says and reports what there is",
	},

	// The data plane: strangers' bytes arrive here.
	{
		who: []string{"internal/edge/..."}, but: []string{"internal/edge/confine", "internal/edge/handover", "internal/edge/hostname"},
		only: []string{"internal/edge/...", "internal/fault"},
		why:  "the edge sees a table of names and addresses and nothing else",
	},
	{
		who: []string{"internal/router/..."}, only: []string{"internal/router/...", "internal/edge/...", "internal/ciphers", "internal/fault"},
		why: "a router sees a snapshot of its own space and nothing else",
	},
	{
		who: []string{"internal/names"}, only: []string{"internal/edge/hostname", "internal/fault", "internal/router/resolver"},
		why: "root reads strangers' answers there: what it knows of a space is what it is given",
	},
	{
		who: []string{"internal/router/..."}, never: []string{"internal/edge"},
		why: "it shares the edge's tools, not its table",
	},
	{
		who: []string{"internal/spool"}, only: []string{"internal/driver", "internal/fault", "internal/supervise"},
		why: "spool must be small, and restarted at once: a dyno waits for it",
	},
	{
		who: []string{"internal/supervise"}, only: []string{"internal/fault"},
		why: "what keeps everything up must not break with anything",
	},

	// The unprivileged server.
	{
		who: []string{"internal/server"},
		never: []string{
			"internal/engine", "internal/driver/containerd/...", "internal/driver/memory", "internal/edge/...", "internal/router/...", "internal/spool", "internal/cli",
		},
		why: "the server is not root: it reaches the engine over its socket (driver/remote)",
	},
}

// aside are programs of ours that are not the platform: they measure it or try
// it, and may use any door.
var aside = []string{"bench/...", "tests/..."}

// doors are packages that only some may import: the other direction of a
// contract.
var doors = []struct {
	to   []string
	from []string // who may import them; their own subpackages always may
	why  string
}{
	{[]string{"internal/server"}, []string{"internal/cli"}, "the server imports everything, so nothing below the command line imports it"},
	{[]string{"internal/cli"}, []string{"cmd/strongroom"}, "the command line is the top"},
	{[]string{"internal/api"}, []string{"internal/server"}, "edges are composed by the server only"},
	{[]string{"internal/engine"}, []string{"internal/cli"}, "it runs as root, in a process of its own"},
	{[]string{"internal/store/sqlite"}, []string{"internal/server", "internal/cli", "internal/simulation"}, "everybody else is given a store.Store"},
	{[]string{"internal/simulation"}, []string{"internal/cli"}, "what it makes did not happen: nothing that runs a real installation may use it"},
	{[]string{"internal/driver/containerd"}, []string{"internal/engine"}, "it needs root"},
	{[]string{"internal/driver/remote"}, []string{"internal/engine", "internal/server"}, "the two ends of the engine's socket"},
	{[]string{"internal/driver/memory"}, nil, "it isolates nothing: it is for tests"},
	{[]string{"tests/forge/thief"}, nil, "it forges ledgers: it is for tests and the demo, and in no program that is installed"},
	{[]string{"internal/driver/drivertest/script"}, []string{"internal/driver/memory", "internal/driver/drivertest/..."}, "it is for tests"},
}

// TestImports holds every import of every file that ends up in a program
// against the contracts.
func TestImports(t *testing.T) {
	tree := sources(t)
	shared := tree.shared()
	for _, s := range tree.program() {
		for _, imported := range s.imports() {
			own, ours := strings.CutPrefix(imported, module)
			for _, c := range contracts {
				if matchAny(c.who, s.dir()) && !matchAny(c.but, s.dir()) && c.forbids(s.dir(), own, imported, ours) {
					t.Errorf("%s imports %s.\n\t%s may not: %s.", s.path, strings.TrimPrefix(imported, module), s.dir(), c.why)
				}
			}
			if ours && shared[own] {
				t.Errorf("%s imports %s, which is for tests", s.path, own)
			}
			if ours && !matchAny(aside, s.dir()) {
				checkDoors(t, s, own)
			}
		}
	}
}

func (c contract) forbids(importer, own, imported string, ours bool) bool {
	if !ours {
		return slices.Contains(c.noStd, imported)
	}
	if own == importer {
		return false
	}
	return c.only != nil && !matchAny(c.only, own) || matchAny(c.never, own)
}

func checkDoors(t *testing.T, s *source, own string) {
	t.Helper()
	for _, d := range doors {
		if slices.Contains(d.to, own) && !matchAny(d.from, s.dir()) && !match(own+"/...", s.dir()) {
			t.Errorf("%s imports %s.\n\tOnly %v may: %s.", s.path, own, d.from, d.why)
		}
	}
}

// TestContractsNamePackages keeps the contracts from outliving what they are
// about: a pattern that matches nothing limits nothing.
func TestContractsNamePackages(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t).program() {
		there[s.dir()] = true
	}
	known := func(pattern string) bool {
		for p := range there {
			if match(pattern, p) {
				return true
			}
		}
		return false
	}
	var all []string
	for _, c := range contracts {
		all = slices.Concat(all, c.who, c.but, c.only, c.never)
	}
	for _, d := range doors {
		all = slices.Concat(all, d.to, d.from)
	}
	slices.Sort(all)
	for _, p := range slices.Compact(all) {
		if !known(p) {
			t.Errorf("a contract names %s, and there is no such package", p)
		}
	}
}

// list runs go list and returns its lines.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// TestLightVerifier holds all that the verifier links, to any depth, against a
// list short enough for an auditor to read.
func TestLightVerifier(t *testing.T) {
	light := []string{
		module + "internal/fault", module + "internal/ledger", module + "internal/pack",
		"golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog",
	}
	for _, p := range list(t, "-deps", "./internal/pack") {
		first, _, _ := strings.Cut(p, "/")
		switch {
		case p == "net" || p == "os/exec" || p == "database/sql" || p == "plugin":
			t.Errorf("the verifier links %s: it must not be able to fetch, send or start anything", p)
		case strings.Contains(first, ".") && !slices.Contains(light, p):
			t.Errorf("the verifier links %s: an auditor must be able to read all that a verdict rests on", p)
		}
	}
}

// TestProgramHasNoTests keeps what tests are made of out of the program.
func TestProgramHasNoTests(t *testing.T) {
	forbidden := []string{
		"testing", "net/http/httptest", "github.com/google/go-cmp/cmp", "pgregory.net/rapid", "go.uber.org/goleak",
		module + "internal/driver/memory",
	}
	for dir := range sources(t).shared() {
		forbidden = append(forbidden, module+dir)
	}
	// A file of its tests lacks the name of one. Linking testing does nothing by itself.
	const careless = "github.com/digitorus/pkcs7"
	for _, link := range list(t, "-deps", "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}} {{end}}`, "./cmd/strongroom") {
		importer, p, _ := strings.Cut(link, ">")
		if slices.Contains(forbidden, p) && importer != careless {
			t.Errorf("the program links %s, which is for tests: %s imports it", p, importer)
		}
	}
}
