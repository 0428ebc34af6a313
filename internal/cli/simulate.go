package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/simulation"
)

// simulate is a year that did not happen.
type simulate struct {
	output
	cfg simulation.Config
}

func newSimulate(s streams) *cobra.Command {
	o := &simulate{output: output{streams: s}}
	c := &cobra.Command{
		Use: "simulate --out DIRECTORY", GroupID: "evidence",
		Short: "Live a year of an organisation that does not exist, and write its evidence packs",
		Long: `Makes an installation that is marked as simulated for good, and lives a year in
it, in minutes: people, releases, sessions, databases, and what goes wrong with
them. It needs no server and no root.

The directory, which must not exist, then has a pack of each space, one of which
was destroyed on the way, the log's key (log.vkey) to verify them with
(evidence:verify), and truth.json: what was planted. Read a pack first, and then
what it should have told you. The same seed tells the same story.`,
		Example: `  strongroom simulate --out year
  strongroom simulate --out longer --seed 7 --entries 1000000 --every 1h`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.cfg.Dir, "out", "", "the directory to make")
	f.Uint64Var(&o.cfg.Seed, "seed", 1, "which story is told")
	f.Int64Var(&o.cfg.Entries, "entries", 2*simulation.MinEntries, "how many entries the year comes to")
	f.DurationVar(&o.cfg.Step, "every", 6*time.Hour, "how often the checks run")
	o.flag(c)
	return c
}

func (o *simulate) run(ctx context.Context) error {
	dir := o.cfg.Dir
	if dir == "" {
		return usage("--out is needed: the directory to make")
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Conflict, "%s exists already. Name another directory with --out.", dir)
	}
	o.cfg.Dir, o.cfg.Log = filepath.Join(dir, "installation"), slog.New(slog.DiscardHandler)
	next := time.Now().Add(patience)
	o.cfg.Progress = func(day int, entries int64) {
		if time.Now().After(next) {
			next = time.Now().Add(patience)
			fmt.Fprintf(o.err, "day %d of %d, %d entries\n", day, simulation.Days, entries)
		}
	}
	y, err := simulation.Live(ctx, o.cfg)
	if err != nil {
		return err
	}
	return errors.Join(o.write(ctx, dir, y), y.Close())
}

// made is what was written, for programs.
type made struct {
	Simulated bool     `json:"simulated"`
	Key       string   `json:"key"`   // file of the log's key
	Truth     string   `json:"truth"` // file of what was planted
	Packs     []string `json:"packs"`
}

// write writes a pack of each space, also of the one that was destroyed, and what
// belongs to them.
func (o *simulate) write(ctx context.Context, dir string, y *simulation.Year) error {
	out := made{Simulated: true, Key: filepath.Join(dir, "log.vkey"), Truth: filepath.Join(dir, "truth.json"), Packs: []string{}}
	truth, err := json.MarshalIndent(y.Truth, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(
		os.WriteFile(out.Truth, append(truth, '\n'), 0o644), os.WriteFile(out.Key, []byte(y.LogKey+"\n"), 0o644),
	); err != nil {
		return err
	}
	for _, s := range y.Truth.Spaces {
		path := filepath.Join(dir, s.Name+".zip")
		if err := export(ctx, y, s, path); err != nil {
			return err
		}
		out.Packs = append(out.Packs, path)
	}
	return o.show(out, func() {
		o.say("SIMULATED: nothing of this has happened.")
		for _, path := range out.Packs {
			o.say("Wrote %s. Check it with: strongroom evidence:verify %s --key %s", path, path, out.Key)
		}
		o.say("What was planted is in %s.", out.Truth)
	})
}

func export(ctx context.Context, y *simulation.Year, s simulation.Space, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(y.Export(ctx, s.ID, f), f.Close())
}
