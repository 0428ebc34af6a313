package cli

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/store/sqlite"
)

type ledgerVerify struct {
	streams
	data string
}

func newLedgerVerify(s streams) *cobra.Command {
	o := &ledgerVerify{streams: s}
	c := &cobra.Command{
		Use: "ledger:verify", GroupID: "evidence",
		Short: "Recompute the whole ledger and compare",
		Long: `Reads every entry of the ledger of this host and recomputes body hashes, tree
hashes, revisions and the current state. Names the first entry at fault. It can
run while the server does.`,
		Example: `  strongroom ledger:verify --data /var/lib/strongroom`,
		Args:    exactly(),
		RunE:    func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.Flags().StringVar(&o.data, "data", "/var/lib/strongroom", "the installation's data directory")
	return c
}

func (o *ledgerVerify) run(c *cobra.Command) error {
	st, err := sqlite.Open(c.Context(), filepath.Join(o.data, "server", "ledger.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer st.Close()
	started, next := time.Now(), time.Now().Add(2*time.Second)
	err = st.Verify(c.Context(), func(done, total int64) {
		if time.Now().After(next) {
			next = time.Now().Add(2 * time.Second)
			fmt.Fprintf(o.err, "%d of %d entries\n", done, total)
		}
	})
	if err != nil {
		return err
	}
	head, err := st.Head(c.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "The ledger is whole: %d entries, the newest of %s, verified in %s.\n",
		head.Size, head.Time.Format(time.RFC3339), time.Since(started).Round(time.Millisecond))
	return nil
}
