package git

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommits: who made what a push brings, as the commits say it.
func TestCommits(t *testing.T) {
	s := newSite(t, Config{})
	since, failed := "", error(nil)
	var got []Commit
	s.deployer.then = func(ctx context.Context, p Push, _ io.Writer) error {
		got = nil
		failed = p.Commits(ctx, since, func(c Commit) error {
			got = append(got, c)
			return nil
		})
		return nil
	}
	push := func() {
		t.Helper()
		s.must("push", s.url("intake", "right"), "main")
		if failed != nil {
			t.Fatal(failed)
		}
	}
	first := s.must("rev-parse", "HEAD")
	s.must("-c", "user.name=b", "commit", "-q", "--allow-empty", "--author", "b <Bea@Example.org>", "-m",
		"Two\n\nIt was two.\n\nCo-authored-by: Cy <cy@example.org>\nCo-authored-by: Di\tTab <di@example.org>")
	second := s.must("rev-parse", "HEAD")
	makers := []string{"Bea@Example.org", "a@example.org", "cy@example.org", "di@example.org"}
	push()
	if diff := cmp.Diff([]Commit{{second, makers}, {first, []string{"a@example.org", "a@example.org"}}}, got); diff != "" {
		t.Errorf("the whole history: %s", diff)
	}

	// A mailmap that the pusher brings makes nobody somebody else.
	since = second
	third := s.commit(".mailmap", "<nobody@example.org> <a@example.org>\n")
	push()
	if diff := cmp.Diff([]Commit{{third, []string{"a@example.org", "a@example.org"}}}, got); diff != "" {
		t.Errorf("since the second: %s", diff)
	}

	for _, unknown := range []string{strings.Repeat("0", 40), "--output=/tmp/x", "main"} {
		since = unknown
		s.commit("more", unknown)
		push()
		if len(got) < 4 {
			t.Errorf("since %q, which is no commit: %d commits", unknown, len(got))
		}
	}
}

func TestCommitWithTooManyMakers(t *testing.T) {
	s := newSite(t, Config{})
	s.deployer.then = func(ctx context.Context, p Push, _ io.Writer) error {
		return p.Commits(ctx, "", func(Commit) error { return nil })
	}
	cmd := s.command("commit", "-q", "--allow-empty", "-F", "-")
	cmd.Stdin = strings.NewReader("Many\n\n" + strings.Repeat("Co-authored-by: C <c@example.org>\n", 10_000))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := s.git("push", s.url("intake", "right"), "main")
	if err == nil || !strings.Contains(out, "names authors in more than 64 KiB") {
		t.Errorf("%v\n%s", err, out)
	}
}
