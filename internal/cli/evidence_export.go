package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/fault"
)

func newEvidenceExport(s streams) *cobra.Command {
	var x client.Export
	var out, since string
	c := &cobra.Command{
		Use: "evidence:export --space SPACE --from TIME", GroupID: "evidence",
		Short: "Write an evidence pack for an auditor",
		Long: `Writes a zip that can be checked offline with evidence:verify. The export itself
goes on record. Recordings and command lines may hold PHI: they come along only
with --with-recordings.

With --since, a file that ledger:checkpoint wrote earlier, the pack proves that
the log only grew since then; evidence:verify --since checks it.

With --items, as an auditor asks for them, the pack has only the folders of these
items and the reports that they rest on (the entries that prove them are all
there). With --notice-date the reports show the state as of that time, in the
period, and not of its end.`,
		Example: `  strongroom evidence:export --space clinic --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z --out q1.zip
  strongroom evidence:export --space clinic --from 2026-04-01T00:00:00Z --since 2026-03-31.checkpoint --out q2.zip
  strongroom evidence:export --space clinic --from 2026-01-01T00:00:00Z --items '164.312(b),164.312(d)' --notice-date 2026-03-15T00:00:00Z`,
		Args: exactly(),
	}
	f := c.Flags()
	f.StringVar(&x.Space, "space", "", "the space")
	f.StringVar(&x.From, "from", "", "the period's begin, RFC 3339")
	f.StringVar(&x.To, "to", "", "the period's end, RFC 3339 (default now)")
	f.BoolVar(&x.Recordings, "with-recordings", false, "include session recordings and command lines")
	f.BoolVar(&x.Destroyed, "destroyed", false, "the space is one that was destroyed")
	f.StringSliceVar(&x.Items, "items", nil, "items of frameworks that the pack is to be about, with commas between them (default all)")
	f.StringVar(&x.Notice, "notice-date", "", "the time whose versions are asked for, RFC 3339 (default the period's end)")
	f.StringVar(&since, "since", "", "file of an older checkpoint that the pack shall prove to extend")
	f.StringVar(&out, "out", "pack.zip", "the file to write; it must not exist")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if x.Space == "" || x.From == "" {
			return usage("--space and --from are needed")
		}
		if since != "" {
			b, err := os.ReadFile(since)
			if err != nil {
				return err
			}
			x.Since = string(b)
		}
		n, err := r.export(ctx, x, out)
		if err != nil {
			return err
		}
		return r.show(map[string]any{"file": out, "bytes": n}, func() {
			r.say("Wrote %s (%d KB). Check it with: strongroom evidence:verify %s --key KEY", out, (n+1023)/1024, out)
		})
	})
}

// export writes to a file of another name first: what has the final name is whole.
func (r *remote) export(ctx context.Context, x client.Export, out string) (int64, error) {
	if _, err := os.Lstat(out); err == nil {
		return 0, fault.New(fault.Conflict, "%s exists already. Name another file with --out.", out)
	}
	var got counter
	defer meanwhile(r.err, got.line)()
	pack, err := r.Export(ctx, x)
	if err != nil {
		return 0, err
	}
	defer pack.Close()
	f, err := os.CreateTemp(filepath.Dir(out), ".pack-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	n, err := io.Copy(io.MultiWriter(f, &got), pack)
	if err = errors.Join(err, f.Close()); errors.Is(err, syscall.ENOSPC) {
		return n, fault.New(fault.Unavailable, "The disk of %s is full after %d KB: nothing was kept. Free some, or name a file on another disk with --out.", out, n/1024)
	} else if err != nil {
		return n, fmt.Errorf("the pack is not whole and was not kept: %w", err)
	}
	return n, os.Rename(f.Name(), out)
}

// counter counts what is written to it.
type counter struct{ n atomic.Int64 }

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func (c *counter) line(t time.Duration) string {
	if n := c.n.Load(); n > 0 {
		return fmt.Sprintf("%d KB (%s)", n/1024, t)
	}
	return still("the server prepares the pack")(t)
}
