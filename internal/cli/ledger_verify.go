package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/server"
)

type ledgerVerify struct {
	output
	data, checkpoint string
}

func newLedgerVerify(s streams) *cobra.Command {
	o := &ledgerVerify{output: output{streams: s}}
	c := &cobra.Command{
		Use: "ledger:verify", GroupID: "evidence",
		Short: "Recompute the whole ledger and compare it with what was signed",
		Long: `Reads every entry of the ledger of this host and recomputes body hashes, tree
hashes, revisions and the current state, then compares the whole with the
checkpoint that the server keeps outside the database and, with --checkpoint,
with one that you kept (ledger:checkpoint). Names the first entry at fault. It
only reads, and can run while the server does. Exits with 1 if anything is wrong.`,
		Example: `  strongroom ledger:verify --data /var/lib/strongroom
  strongroom ledger:verify --checkpoint 2026-11-23.checkpoint`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.Flags().StringVar(&o.data, "data", "/var/lib/strongroom", "the installation's data directory")
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "", "file of a checkpoint that the ledger must continue")
	o.flag(c)
	return c
}

func (o *ledgerVerify) run(c *cobra.Command) error {
	var given []byte
	if o.checkpoint != "" {
		var err error
		if given, err = os.ReadFile(o.checkpoint); err != nil {
			return err
		}
		if len(given) == 0 {
			return usage("%s is empty: it is no checkpoint", o.checkpoint)
		}
	}
	started, next := time.Now(), time.Now().Add(patience)
	v, err := server.VerifyLedger(c.Context(), o.data, given, func(done, total int64) {
		if time.Now().After(next) {
			next = time.Now().Add(patience)
			fmt.Fprintf(o.err, "%d of %d entries\n", done, total)
		}
	})
	if err != nil {
		return o.damaged(err)
	}
	return o.show(struct {
		Whole bool `json:"whole"`
		*server.Verified
	}{true, v}, func() {
		o.say("The ledger is whole: %d entries, the newest of %s, verified in %s.",
			v.Entries, v.Newest.Format(time.RFC3339), time.Since(started).Round(time.Millisecond))
		o.say("It continues the anchored checkpoint over %d entries.", v.Anchored)
		if v.Given != nil {
			o.say("It continues the given checkpoint over %d entries.", *v.Given)
		}
	})
}

// damaged tells what is wrong, for programs too.
func (o *ledgerVerify) damaged(err error) error {
	if !o.json {
		return err
	}
	enc := json.NewEncoder(o.out)
	enc.SetIndent("", "  ")
	return errors.Join(err, enc.Encode(struct {
		Whole bool   `json:"whole"`
		Fault string `json:"fault"`
	}{false, err.Error()}))
}
