package cli

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/witness"
)

// cosigned is a checkpoint in a witness's history, as it is shown.
type cosigned struct {
	Origin string    `json:"origin"`
	Size   int64     `json:"size"`
	Root   string    `json:"root"`
	At     time.Time `json:"cosigned_at"`
	Note   string    `json:"note"`
}

func newWitnessHistory(s streams) *cobra.Command {
	var dir, origin string
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "witness:history", GroupID: "evidence",
		Short: "List the checkpoints that a witness cosigned",
		Long: `Lists every checkpoint that the witness of this machine cosigned, oldest first,
each verified by the witness's own key. With --json one object a line, whose note
can be given to ledger:verify --checkpoint and evidence:export --since.`,
		Example: `  strongroom witness:history
  strongroom witness:history --origin strongroom/5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11/1 --json`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			d := witness.Directory(dir)
			if _, err := d.Key(); err != nil {
				return err
			}
			logs, err := d.Logs()
			if err != nil {
				return err
			}
			if origin != "" {
				logs = []witness.Log{{Origin: origin}}
			}
			for _, l := range logs {
				if err := o.history(d, l.Origin); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultWitness, "the witness's directory")
	c.Flags().StringVar(&origin, "origin", "", "of this log only")
	o.flag(c)
	return c
}

func (o *output) history(d witness.Directory, origin string) error {
	enc := json.NewEncoder(o.out)
	for c, err := range d.History(origin) {
		if err != nil {
			return err
		}
		if !o.json {
			o.say("%s  %10d entries  %s  %s", c.At.Format(time.RFC3339), c.N, c.Hash, c.Origin)
			continue
		}
		if err := enc.Encode(cosigned{c.Origin, c.N, c.Hash.String(), c.At, string(c.Note)}); err != nil {
			return err
		}
	}
	return nil
}
