// Package verifier holds the second verifier of evidence packs, verify.mjs,
// against the first, internal/pack: whatever pack they are given, both must come
// to the same verdict, by the same check.
//
// The second one was written in another language from the specification alone.
// Where they disagree, one of them reads the specification wrongly, or it leaves
// something open; either way the case belongs into these tests.
package verifier

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/pack"
)

// pair is both verifiers. The second one is a process that checks one pack after
// the other.
type pair struct {
	dir string
	in  io.Writer
	out *bufio.Scanner
}

// verdict is what a verifier says.
type verdict struct {
	Verdict string `json:"verdict"` // VERIFIED, CONSISTENT or REFUSED
	Check   string `json:"check"`   // that refused it
	Member  string `json:"member"`
	Reason  string `json:"reason"`
	Opening string `json:"opening"` // of the opening state
}

// node finds the interpreter; without it there is no second verifier.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the second verifier cannot run")
	}
	return path
}

func newPair(t *testing.T) *pair {
	t.Helper()
	in, out := start(t, "batch.mjs")
	return &pair{t.TempDir(), in, out}
}

// start runs a script that answers each line with a line.
func start(t *testing.T, script string) (io.Writer, *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node(t), script)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		cancel()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	return in, lines
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// agree gives the pack to both verifiers and wants the same verdict by the same
// check. It returns the second one's.
func (p *pair) agree(t *testing.T, what string, b []byte, opts pack.Options) verdict {
	t.Helper()
	first, second := p.first(t, b, opts), p.second(t, b, opts)
	if first.Verdict != second.Verdict || first.Check != second.Check {
		t.Errorf("%s: the verifiers disagree:\n\tfirst:  %s %s\n\tsecond: %s %s", what, first.Verdict, first.Reason, second.Verdict, second.Reason)
	}
	if proven := strings.Contains(first.Opening, "proven"); proven != strings.Contains(second.Opening, "proven") {
		t.Errorf("%s: the opening state is %q, and %q", what, first.Opening, second.Opening)
	}
	return second
}

// accepted wants both to verify the pack.
func (p *pair) accepted(t *testing.T, what string, b []byte, opts pack.Options) verdict {
	t.Helper()
	v := p.agree(t, what, b, opts)
	if v.Verdict != "VERIFIED" {
		t.Errorf("%s: %s: %s", what, v.Verdict, v.Reason)
	}
	return v
}

// refused wants both to refuse the pack, by one of the checks.
func (p *pair) refused(t *testing.T, what string, b []byte, opts pack.Options, checks ...pack.Group) verdict {
	t.Helper()
	v := p.agree(t, what, b, opts)
	if v.Verdict != "REFUSED" {
		t.Errorf("%s: %s, and should have been refused", what, v.Verdict)
	}
	found := len(checks) == 0
	for _, check := range checks {
		found = found || v.Check == string(check)
	}
	if !found && v.Verdict == "REFUSED" {
		t.Errorf("%s: want check %v: %s", what, checks, v.Reason)
	}
	return v
}

// first is the verdict of internal/pack.
func (p *pair) first(t *testing.T, b []byte, opts pack.Options) verdict {
	t.Helper()
	r, err := pack.Verify(t.Context(), bytes.NewReader(b), int64(len(b)), opts)
	var refusal *pack.Refusal
	if errors.As(err, &refusal) {
		return verdict{Verdict: string(pack.Refused), Check: string(refusal.Check), Member: refusal.File, Reason: refusal.Error()}
	}
	must(t, err)
	v := verdict{Verdict: string(r.Verdict)}
	if r.Verdict == pack.Consistent {
		v.Verdict = "CONSISTENT"
	}
	for _, c := range r.Checks {
		if c.Group == pack.OpeningGroup {
			v.Opening = strings.Join(c.Details, "; ")
		}
	}
	return v
}

// second is the verdict of verify.mjs.
func (p *pair) second(t *testing.T, b []byte, opts pack.Options) verdict {
	t.Helper()
	question := struct {
		Pack      string   `json:"pack"`
		Key       string   `json:"key,omitempty"`
		Witnesses []string `json:"witnesses,omitempty"`
		Quorum    int      `json:"quorum,omitempty"`
		Since     []byte   `json:"since,omitempty"`
		Previous  string   `json:"previous,omitempty"`
	}{p.write(t, "pack.zip", b), strings.TrimSpace(opts.Key), opts.Witnesses, opts.Quorum, opts.Since, ""}
	if opts.Previous != nil {
		content, err := io.ReadAll(io.NewSectionReader(opts.Previous, 0, opts.Previous.Size))
		must(t, err)
		question.Previous = p.write(t, "previous.zip", content)
	}
	must(t, json.NewEncoder(p.in).Encode(question))
	if !p.out.Scan() {
		t.Fatalf("batch.mjs ended: %v", p.out.Err())
	}
	var v verdict
	must(t, json.Unmarshal(p.out.Bytes(), &v))
	if v.Verdict == "CRASHED" {
		t.Fatalf("verify.mjs: %s", v.Reason)
	}
	return v
}

func (p *pair) write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	must(t, os.WriteFile(path, b, 0o600))
	return path
}
