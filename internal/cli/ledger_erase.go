package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

func newLedgerErase(s streams) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use: "ledger:erase SEQ... --reason WHY --confirm NAME", GroupID: "evidence",
		Short: "Erase the bodies of entries whose retention has ended",
		Long: `Deletes the private part of entries of one space, team, or the installation, for
good: who, what and the documents. Their headers stay, so every proof goes on
verifying, and an entry says which bodies went, by which rule, and why.

A body can be erased six years after it was written and after what it holds was
last in force, never while the present rests on it: the newest version of
anything, the config of a release. For a space or team it takes an owner of the
team, for the installation its operator. What the past then does not tell any
more, state, diff and who-could say so.`,
		Example: `  strongroom ledger:erase 812 813 --reason "retention of 2026 is over" --confirm clinic`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("ledger:erase needs the seq of at least one entry. Run 'strongroom ledger:erase --help' for an example.")
			}
			return nil
		},
	}
	c.Flags().StringVar(&confirm, "confirm", "", "name of the space, the team or the installation")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		var seqs []int64
		for _, a := range args {
			n, err := strconv.ParseInt(a, 10, 64)
			if err != nil || n < 0 {
				return usage("%q is no seq: entries are numbered from 0", a)
			}
			seqs = append(seqs, n)
		}
		e, err := r.EraseBodies(ctx, seqs, confirm)
		if err != nil {
			return err
		}
		return r.show(e, func() { r.say("Erased %d bodies; entry %d says so.", len(e.Erased), e.Seq) })
	})
}
