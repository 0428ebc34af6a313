package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// standings are the words for how a control stands, the worst first.
var standings = []struct{ status, word string }{
	{"fail", "FAIL"},
	{"unknown", "unknown"},
	{"unproven", "not yet proven"},
	{"reported", "by report"},
	{"pass", "pass"},
	{"not-applicable", "not applicable"},
}

func standing(status string) string {
	for _, s := range standings {
		if s.status == status {
			return s.word
		}
	}
	return status
}

// about declares the flags that say which controls, and when.
func about(c *cobra.Command, x *client.Controls, period string) {
	c.Flags().StringVar(&x.Scope, "scope", "", "a space or a team (default all that you read evidence of)")
	c.Flags().StringVar(&x.From, "from", "", "the period's begin, RFC 3339"+period)
	c.Flags().StringVar(&x.To, "to", "", "the period's end, RFC 3339 (default now)")
	c.Flags().BoolVar(&x.Destroyed, "destroyed", false, "the scope is a space that was destroyed; needs --scope and --from")
}

// gone holds what is asked about against what can be told of a space that there is
// no more.
func gone(x client.Controls) error {
	if x.Destroyed && (x.Scope == "" || x.From == "") {
		return usage("--destroyed needs --scope, the space, and --from: only its past can be told")
	}
	return nil
}

func newControls(s streams) *cobra.Command {
	var x client.Controls
	c := &cobra.Command{
		Use: "controls", GroupID: "evidence",
		Short: "List what is to be true here, and whether it is",
		Long: `Lists the controls and how they stand: what checks say of the spaces and teams
whose evidence you may read. A control that the platform does not prove yet says
so and never passes; "by report" is one that a person judges from the pack's
reports. A check that did not run on time is unknown.

With --from, also the share of that time in which each control passed. Of a space
that was destroyed (--destroyed) there is only that: now nothing applies to it.`,
		Example: `  strongroom controls
  strongroom controls --scope old-clinic --destroyed --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z
  strongroom controls --framework hipaa-security --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z`,
		Args: exactly(),
	}
	c.Flags().StringVar(&x.Framework, "framework", "", "only those that answer to a framework, such as hipaa-security")
	about(c, &x, "")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if err := gone(x); err != nil {
			return err
		}
		list, err := r.Controls(ctx, x)
		if err != nil {
			return err
		}
		return r.show(list, func() { r.controls(list, x.Framework) })
	})
}

func (r *remote) controls(list []client.Control, framework string) {
	count := map[string]int{}
	for _, s := range standings {
		for _, x := range list {
			if x.Status != s.status {
				continue
			}
			count[s.status]++
			r.say("%-14s  %-32s %s%s", s.word, x.ID, x.Title, remarks(x, framework))
		}
	}
	var sums []string
	for _, s := range standings {
		if count[s.status] > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", count[s.status], s.word))
		}
	}
	r.say("\n%d controls: %s", len(list), strings.Join(sums, ", "))
}

// remarks are what else is to be said of a control in its line.
func remarks(x client.Control, framework string) string {
	var out []string
	if x.Findings > 0 {
		out = append(out, fmt.Sprintf("%d finding(s)", x.Findings))
	}
	if x.Since != nil && x.Status != "unproven" {
		out = append(out, "since "+x.Since.Format(time.RFC3339))
	}
	if p := x.Period; p != nil && p.Effectiveness != nil {
		out = append(out, fmt.Sprintf("%s of the time, %d gap(s)", percent(p.Effectiveness), p.Gaps))
	}
	for _, m := range x.Maps {
		if m.Framework == framework {
			out = append(out, m.Extent+" "+m.To)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, "; ") + ")"
}

// percent never rounds up to all of the time.
func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	if *share == 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.3f %%", min(*share*100, 99.999))
}

func newControlsExplain(s streams) *cobra.Command {
	var x client.Controls
	c := &cobra.Command{
		Use: "controls:explain ID", GroupID: "evidence",
		Short:   "Explain a control: what it says, who does what for it, what shows it",
		Example: `  strongroom controls:explain network.trusted-sources`,
		Args:    exactly("ID"),
	}
	c.Flags().StringVar(&x.Scope, "scope", "", "a space or a team (default all that you read evidence of)")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		d, err := r.Control(ctx, args[0], x)
		if err != nil {
			return err
		}
		return r.show(d, func() { r.control(d) })
	})
}

func (r *remote) control(d client.ControlDetail) {
	r.say("%s  %s\n%s\n\n%s\n", d.ID, standing(d.Status), d.Title, d.Statement)
	r.say("Why           %s\nSeverity      %s\nLooked at     %s", d.Why, d.Severity, d.Every)
	for _, who := range slices.Sorted(maps.Keys(d.Responsible)) {
		r.say("%-13s %s", upper(who), d.Responsible[who])
	}
	r.list("Settings", d.Settings)
	r.list("Reports", d.Reports)
	r.list("Records", d.Records)
	r.list("Needs", d.Depends)
	r.list("Not yet there", d.Planned)
	if d.Missing != nil {
		r.say("Limits        %s", *d.Missing)
	}
	for _, c := range d.Checks {
		r.round(c)
	}
	r.say("\nIf it fails: %s\nWhat to do: %s\n", d.Failure, d.Remediation)
	for _, m := range d.Maps {
		r.say("%-8s %s %s", m.Extent, m.Framework, m.To)
	}
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (r *remote) list(title string, of []string) {
	if len(of) > 0 {
		r.say("%-13s %s", title, strings.Join(of, ", "))
	}
}

func (r *remote) round(c client.Round) {
	ran := "it never ran"
	if c.RanAt != nil {
		ran = "ran " + c.RanAt.Format(time.RFC3339)
	}
	if c.Late {
		ran += ", LATE"
	}
	r.say("\nCheck %s, version %d: %s (%s)\n  %s", c.ID, c.Version, standing(c.Status), ran, c.Title)
	for _, x := range c.Says {
		r.say("  %-14s  %s, since %s%s", standing(x.Status), named(x.Name, x.Scope), x.Since.Format(time.RFC3339), entries(x.Seqs))
		for _, f := range x.Facts {
			r.say("      %s", f)
		}
	}
}

// named is a subject as far as the reader may know of it.
func named(name, scope string) string {
	switch {
	case name != "":
		return name
	case scope != "":
		return "something in " + scope
	}
	return "the installation"
}

func entries(seqs []int64) string {
	if len(seqs) == 0 {
		return ""
	}
	return fmt.Sprintf(", see entries %v", seqs)
}

func newControlsHistory(s streams) *cobra.Command {
	var x client.Controls
	c := &cobra.Command{
		Use: "controls:history ID", GroupID: "evidence",
		Short: "Show how a control stood over a period, and each gap",
		Long: `Computes from the ledger when the control passed and when it did not: each gap
with its begin, its end, its cause and who mended it. The same period gives the
same answer whenever it is asked for. The newest minutes are left out until it is
on record that the checks ran. A space that was destroyed is asked about with
--destroyed.`,
		Example: `  strongroom controls:history network.trusted-sources
  strongroom controls:history network.trusted-sources --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z`,
		Args: exactly("ID"),
	}
	about(c, &x, " (default 90 days ago)")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if err := gone(x); err != nil {
			return err
		}
		h, err := r.ControlHistory(ctx, args[0], x)
		if err != nil {
			return err
		}
		return r.show(h, func() { r.history(h) })
	})
}

func (r *remote) history(h client.History) {
	r.say("%s  %s\n%s to %s\n", h.Control, h.Title, h.From.Format(time.RFC3339), h.To.Format(time.RFC3339))
	if h.Effectiveness == nil {
		r.say("There is nothing to judge in this time.")
	} else {
		r.say("It passed for %s of the time.", percent(h.Effectiveness))
	}
	for _, i := range h.Intervals {
		r.say("  %s  %-14s  for %s", i.From.Format(time.RFC3339), standing(i.Status), i.To.Sub(i.From))
	}
	r.say("\n%d gap(s)", len(h.Gaps))
	for _, g := range h.Gaps {
		r.gap(g)
	}
}

func (r *remote) gap(g client.Gap) {
	end := "to " + g.To.Format(time.RFC3339)
	if g.Open {
		end = "and goes on"
	}
	what := named(g.Name, g.Scope)
	if g.Seq == nil {
		what = "all that it looks at"
	}
	r.say("\n  %s  %s of %s\n      from %s %s (%s)", standing(g.Status), g.Check, what, g.From.Format(time.RFC3339), end, g.To.Sub(g.From))
	for _, f := range g.Facts {
		r.say("      %s", f)
	}
	if g.Seq != nil {
		r.say("      begun in entry %d%s", *g.Seq, entries(g.Seqs))
	}
	if g.EndSeq != nil {
		by := ""
		if g.MendedBy != nil {
			by = ", after a change by " + *g.MendedBy
		}
		r.say("      ended in entry %d%s", *g.EndSeq, by)
	}
	if g.Owner != nil {
		r.say("      owned by %s", *g.Owner)
	}
}
