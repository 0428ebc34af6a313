package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

func newFindings(s streams) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "findings", GroupID: "evidence",
		Short: "List what does not pass, by when it must, and who sees to it",
		Long: `Lists what checks found wrong, from its first moment on. Only the check's
passing again closes a finding.`,
		Example: `  strongroom findings
  strongroom findings --all --json`,
		Args: exactly(),
	}
	c.Flags().BoolVar(&all, "all", false, "also those that are closed")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.Findings(ctx, all)
		if err != nil {
			return err
		}
		return r.show(list, func() {
			if len(list) == 0 {
				r.say("There are no findings.")
			}
			for _, f := range list {
				r.finding(f)
			}
		})
	})
}

func (r *remote) finding(f client.Finding) {
	r.say("%s  %-8s  %-8s  %s of %s%s", f.ID, f.State, f.Severity, f.Check, named(f.Name, f.Scope), entries(f.Seqs))
	for _, x := range f.Facts {
		r.say("    %s", x)
	}
	owner := "nobody"
	if f.Owner != nil {
		owner = *f.Owner
	}
	due := "due " + f.DueAt.Format(time.DateOnly)
	if f.Overdue {
		due = "OVERDUE since " + f.DueAt.Format(time.DateOnly)
	}
	r.say("    opened %s, %s, owned by %s; concerns %s", f.OpenedAt.Format(time.RFC3339), due, owner, strings.Join(f.Controls, ", "))
	if a := f.Accepted; a != nil {
		r.say("    accepted by %s until %s: %s", a.Email, a.Until.Format(time.DateOnly), a.Reason)
	}
	if f.ClosedAt != nil {
		by := ""
		if f.MendedBy != nil {
			by = ", after a change by " + *f.MendedBy
		}
		r.say("    passes again since %s%s", f.ClosedAt.Format(time.RFC3339), by)
	}
}

func newFindingsAccept(s streams) *cobra.Command {
	var until string
	c := &cobra.Command{
		Use: "findings:accept ID --reason REASON --until DATE", GroupID: "evidence",
		Short: "Decide to live with a finding until a day",
		Long: `Accepts a finding for a time, a year at most. Its check goes on failing and
reports go on saying so; after the day it is open again.`,
		Example: `  strongroom findings:accept 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --reason "the firewall is replaced in March" --until 2026-04-01`,
		Args:    exactly("ID"),
	}
	c.Flags().StringVar(&until, "until", "", "the day on which it is open again, as 2026-04-01 or RFC 3339")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if r.reason == "" || until == "" {
			return usage("--reason and --until are needed")
		}
		at, err := time.Parse(time.DateOnly, until)
		if err != nil {
			if at, err = time.Parse(time.RFC3339, until); err != nil {
				return usage("--until is a day such as 2026-04-01")
			}
		}
		f, err := r.AcceptFinding(ctx, args[0], r.reason, at)
		if err != nil {
			return err
		}
		return r.show(f, func() { r.finding(f) })
	})
}

func newFindingsAssign(s streams) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "findings:assign ID --to EMAIL", GroupID: "evidence",
		Short:   "Make a person the owner of a finding",
		Example: `  strongroom findings:assign 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --to ann@example.org`,
		Args:    exactly("ID"),
	}
	c.Flags().StringVar(&to, "to", "", "the person's address")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if to == "" {
			return usage("--to is needed")
		}
		f, err := r.AssignFinding(ctx, args[0], to)
		if err != nil {
			return err
		}
		return r.show(f, func() { r.finding(f) })
	})
}
