package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newLedgerCheckpoint(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "ledger:checkpoint", GroupID: "evidence",
		Short: "Print the signed checkpoint over all entries",
		Long: `Prints the newest checkpoint. Whoever keeps old ones can have a later pack
prove that the log only grew since: evidence:export --since, and then
evidence:verify --since.`,
		Example: `  strongroom ledger:checkpoint > 2026-11-23.checkpoint`,
		Args:    exactly(),
	}
	return connect(&remote{output: output{streams: s}}, c, func(ctx context.Context, r *remote, _ []string) error {
		cp, err := r.Checkpoint(ctx)
		if err != nil {
			return err
		}
		defer cp.Close()
		_, err = io.Copy(r.out, cp)
		return err
	})
}

func newLedgerKey(s streams) *cobra.Command {
	var build bool
	c := &cobra.Command{
		Use: "ledger:key", GroupID: "evidence",
		Short: "Print the log's verifier key",
		Long: `Prints the key as the server knows it. What an auditor checks packs against
should come from the engagement letter; this is to compare with it. With --build
it is the key that signs the provenance of builds (DSSE, Ed25519), as PEM.`,
		Example: `  strongroom ledger:key > log.vkey
  strongroom ledger:key --build > build.pem`,
		Args: exactly(),
	}
	c.Flags().BoolVar(&build, "build", false, "the key of builds instead")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		i, err := r.Installation(ctx)
		if err != nil {
			return err
		}
		key := i.LogKey
		if build {
			key = strings.TrimSpace(i.BuildKey)
		}
		return r.show(i, func() { r.say("%s", key) })
	})
}

func newLedgerConfirmClock(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "ledger:confirm-clock", GroupID: "run",
		Short: "Let the ledger go on with a clock that it did not believe",
		Long: `After a leap of the clock of more than a day, or back behind the newest entry,
nothing is recorded and so nothing changes. If the clock is right now, an
operator confirms it; the confirmation becomes the first entry.`,
		Example: `  strongroom ledger:confirm-clock --reason "battery of the clock replaced"`,
		Args:    exactly(),
	}
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if err := r.ConfirmClock(ctx); err != nil {
			return err
		}
		return r.show(map[string]bool{"confirmed": true}, func() { r.say("Confirmed. The ledger goes on within a second.") })
	})
}
