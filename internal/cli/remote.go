package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// remote is what commands that talk to a server have in common.
type remote struct {
	output
	*client.Client
	reason string
}

// talk makes a command that talks to the server, and prints JSON if it is asked
// to. run gets a connected remote.
func talk(s streams, c *cobra.Command, run func(ctx context.Context, r *remote, args []string) error) *cobra.Command {
	r := &remote{output: output{streams: s}}
	r.flag(c)
	return connect(r, c, run)
}

// connect makes a command that talks to the server and has a format of its own.
func connect(r *remote, c *cobra.Command, run func(ctx context.Context, r *remote, args []string) error) *cobra.Command {
	c.Flags().StringVar(&r.reason, "reason", "", "why: goes on record with what is done")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := readProfile()
		if err != nil {
			return err
		}
		if r.Client, err = client.New(client.Config{URL: p.URL, Token: p.Token, CAFile: p.CA, Reason: r.reason}); err != nil {
			return err
		}
		return run(c.Context(), r, args)
	}
	return c
}
