package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// maxMakers bounds the bytes in which one commit names its makers.
const maxMakers = 64 << 10

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

var address = pattern.New(`<([^<>]*)>`)

// Commits calls fn with each commit that the push brings over one that was
// pushed before, newest first. If since is "" or is not in the repository, that
// is the whole history. It ends with fn's first error.
func (p Push) Commits(ctx context.Context, since string, fn func(Commit) error) error {
	args := []string{"log", makers, p.Commit}
	if objectPattern.MatchString(since) && p.repository.isCommit(ctx, since, p.quarantine) {
		args = append(args, "^"+since)
	}
	cmd := p.repository.command(ctx, append(args, "--")...)
	cmd.Env = append(cmd.Env, p.repository.quarantined(p.quarantine)...)
	stderr := &tail{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git log: %w", err)
	}
	if err := eachCommit(stdout, fn); err != nil {
		_ = cmd.Cancel() // it would wait for a reader
		_ = cmd.Wait()
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("git log: %w: %s", err, stderr)
	}
	return nil
}

func eachCommit(r io.Reader, fn func(Commit) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMakers)
	for lines.Scan() {
		if err := fn(parseCommit(lines.Text())); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fault.New(fault.Invalid, "A commit of this push names authors in more than %d KiB.", maxMakers>>10)
	}
	return lines.Err()
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
