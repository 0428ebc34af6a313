package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// maxCommits bounds how far back Commits looks, maxMakers the bytes in which one
// commit names its makers.
const (
	maxCommits = 10_000
	maxMakers  = 64 << 10
)

// Commit is a commit and the addresses of its author, its committer and the
// co-authors that its message names, as the commit has them: nobody checked
// them.
type Commit struct {
	ID     string
	Emails []string
}

// makers is the id, then the author's and the committer's address, then the
// co-authors. No mailmap is applied: it would be the pusher's.
const makers = "--format=%H%x09%ae%x09%ce%x09%(trailers:key=Co-authored-by,valueonly,unfold,separator=%x09)"

var address = regexp.MustCompile(`<([^<>]*)>`)

// Commits lists what the push brings over a commit that was pushed before,
// newest first, at most the newest 10,000. If since is "" or is not in the
// repository, that is the whole history.
func (p Push) Commits(ctx context.Context, since string) ([]Commit, error) {
	args := []string{"log", makers, "--max-count=" + strconv.Itoa(maxCommits), p.Commit}
	if objectPattern.MatchString(since) && p.repository.isCommit(ctx, since, p.quarantine) {
		args = append(args, "^"+since)
	}
	cmd := p.repository.command(ctx, append(args, "--")...)
	cmd.Env = append(cmd.Env, p.repository.quarantined(p.quarantine)...)
	stderr := &tail{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("git log: %w", err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxMakers)
	var out []Commit
	for lines.Scan() {
		out = append(out, parseCommit(lines.Text()))
	}
	if lines.Err() != nil {
		_ = cmd.Cancel() // it would wait for a reader
	}
	err = cmd.Wait()
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fault.New(fault.Invalid, "A commit of this push names authors in more than %d KiB.", maxMakers>>10)
	}
	if err = errors.Join(err, lines.Err()); err != nil {
		return nil, fmt.Errorf("git log: %w: %s", err, stderr)
	}
	return out, nil
}

func parseCommit(line string) Commit {
	fields := strings.Split(line, "\t")
	c := Commit{ID: fields[0]}
	for i, f := range fields[1:] {
		if i < 2 { // author and committer are addresses alone
			c.Emails = append(c.Emails, f)
			continue
		}
		for _, m := range address.FindAllStringSubmatch(f, -1) {
			c.Emails = append(c.Emails, m[1])
		}
	}
	return c
}
