package cli

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

func newAlerts(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "alerts", GroupID: "evidence",
		Short:   "List where findings are sent to, and whether they are taken",
		Example: `  strongroom alerts`,
		Args:    exactly(),
	}
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.Alerts(ctx)
		if err != nil {
			return err
		}
		return r.show(list, func() {
			if len(list) == 0 {
				r.say("Findings are sent to nobody.")
			}
			for _, a := range list {
				r.alert(a)
			}
		})
	})
}

func (r *remote) alert(a client.Alert) {
	r.say("%s  %-7s  %s  %s and worse, of %s", a.ID, a.Channel, addressed(a), a.Severity, named(a.Scope, ""))
	why := ""
	if a.Error != nil {
		why = ": " + *a.Error
	}
	r.say("    %s since %s%s", a.State, a.Since.Format(time.RFC3339), why)
}

// addressed is what is known of where a channel leads.
func addressed(a client.Alert) string {
	if a.Fingerprint == "" {
		return a.To
	}
	return a.To + " (" + a.Fingerprint + ")"
}

// maxSecret is more than any secret and any address may have.
const maxSecret = 4 << 10

func newAlertsAdd(s streams) *cobra.Command {
	var in client.NewAlert
	var secret bool
	c := &cobra.Command{
		Use: "alerts:add webhook|email ADDRESS", GroupID: "evidence",
		Short: "Send findings to a webhook or by mail",
		Long: `Sends what becomes of findings: opened, reopened, accepted, overdue, closed.
A webhook's messages are signed with a secret that is read from standard input
and kept sealed. So is its address, whose path is a secret with some services: on
record are the host and the first digits of the SHA-256 of all of it. An address
of - is the first line of standard input, and the secret the second: what is an
argument can be seen by others on this machine.`,
		Example: `  strongroom alerts:add webhook https://alerts.example.org/strongroom --secret-stdin < alerts.secret
  cat address alerts.secret | strongroom alerts:add webhook - --secret-stdin
  strongroom alerts:add email oncall@example.org --severity medium --space clinic`,
		Args: exactly("CHANNEL", "ADDRESS"),
	}
	c.Flags().BoolVar(&secret, "secret-stdin", false, "read the webhook's secret from standard input")
	c.Flags().StringVar(&in.Severity, "severity", "high", "the least that is sent: low, medium, high or critical")
	c.Flags().StringVar(&in.Team, "team", "", "findings of this team and its spaces alone")
	c.Flags().StringVar(&in.Space, "space", "", "findings of this space alone")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		in.Channel, in.To = args[0], args[1]
		if secret != (in.Channel == "webhook") {
			return usage("a webhook needs --secret-stdin, and mail has no secret")
		}
		if secret {
			raw, err := io.ReadAll(io.LimitReader(s.in, maxSecret))
			if err != nil {
				return err
			}
			in.Secret = strings.TrimSpace(string(raw))
			if in.To == "-" {
				in.To, in.Secret, _ = strings.Cut(in.Secret, "\n")
				in.Secret = strings.TrimSpace(in.Secret)
			}
		}
		a, err := r.AddAlert(ctx, in)
		if err != nil {
			return err
		}
		return r.show(a, func() {
			r.alert(a)
			r.say("Try it: strongroom alerts:test %s", a.ID)
		})
	})
}

func newAlertsRemove(s streams) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use: "alerts:remove ID --confirm ID", GroupID: "evidence",
		Short:   "Send findings there no longer",
		Example: `  strongroom alerts:remove 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --confirm 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0`,
		Args:    exactly("ID"),
	}
	c.Flags().StringVar(&confirm, "confirm", "", "the id, once more")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if confirm != args[0] {
			return usage("nobody is told there any longer, not even of what waits to be sent. Repeat the id: --confirm %s", args[0])
		}
		a, err := r.RemoveAlert(ctx, args[0])
		if err != nil {
			return err
		}
		return r.show(a, func() { r.say("Nothing is sent to %s any longer.", addressed(a)) })
	})
}

// testTime is how long a test message may take.
const testTime = 40 * time.Second

func newAlertsTest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "alerts:test ID", GroupID: "evidence",
		Short:   "Send a message that says that it is a test",
		Example: `  strongroom alerts:test 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0`,
		Args:    exactly("ID"),
	}
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		was, err := r.TestAlert(ctx, args[0])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, testTime)
		defer cancel()
		a, err := r.tested(ctx, was)
		if err != nil {
			return err
		}
		if err := r.show(a, func() { r.alert(a) }); err != nil {
			return err
		}
		if a.State != "delivered" {
			return &exit{1, "it was not taken"}
		}
		return nil
	})
}

// tested waits until a test came to its end.
func (r *remote) tested(ctx context.Context, was client.Alert) (client.Alert, error) {
	for {
		list, err := r.Alerts(ctx)
		if err != nil {
			return was, err
		}
		for _, a := range list {
			if a.ID == was.ID && a.TestedAt != nil && (was.TestedAt == nil || a.TestedAt.After(*was.TestedAt)) {
				return a, nil
			}
		}
		select {
		case <-ctx.Done():
			return was, &exit{1, "nobody knows yet how it went. Look again: strongroom alerts"}
		case <-time.After(200 * time.Millisecond):
		}
	}
}
