package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// remote is what commands that talk to a server have in common.
type remote struct {
	streams
	*client.Client
	reason string
	json   bool
}

// talk makes a command that talks to the server. run gets a connected remote.
func talk(s streams, c *cobra.Command, run func(ctx context.Context, r *remote, args []string) error) *cobra.Command {
	r := &remote{streams: s}
	c.Flags().StringVar(&r.reason, "reason", "", "why: goes on record with what is done")
	c.Flags().BoolVar(&r.json, "json", false, "print JSON")
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

// show prints a value as JSON if that was asked for, else what text prints.
func (r *remote) show(v any, text func()) error {
	if !r.json {
		text()
		return nil
	}
	enc := json.NewEncoder(r.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (r *remote) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }
