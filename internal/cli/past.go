package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// upTo takes some of the arguments, from the first on.
func upTo(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usage("%s takes at most %d argument(s): %v. Run '%s --help' for an example.", c.Name(), len(names), names, c.CommandPath())
		}
		return nil
	}
}

func newState(s streams) *cobra.Command {
	var at, scope string
	c := &cobra.Command{
		Use: "state --at TIME [KIND [ID]]", GroupID: "evidence",
		Short: "Show what there was at a moment, from the ledger",
		Long: `Shows what the ledger says there was at a moment, in the spaces and teams whose
evidence you may read: how much of each kind, all of one kind, or one thing by its
id or name, and the entry that made it so. Of secrets only the names are in the
ledger. An entry of that very moment is not in the answer, as at the end of a
pack's period; spaces that were destroyed since are.`,
		Example: `  strongroom state --at 2026-03-01T00:00:00Z
  strongroom state --at 2026-03-01T00:00:00Z app
  strongroom state --at 2026-03-01T00:00:00Z config intake --json`,
		Args: upTo("KIND", "ID"),
	}
	c.Flags().StringVar(&at, "at", "", "the moment, RFC 3339")
	c.Flags().StringVar(&scope, "scope", "", "a space or a team (default all that you read evidence of)")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		switch {
		case at == "":
			return usage("--at is needed")
		case len(args) == 0:
			return ask(r, func() (client.Past, error) { return r.Past(ctx, at, scope) }, r.past)
		case len(args) == 1:
			return ask(r, func() ([]client.PastDocument, error) { return r.PastDocuments(ctx, at, scope, args[0]) }, r.documents)
		}
		return ask(r, func() (client.PastDocument, error) { return r.PastDocument(ctx, at, scope, args[0], args[1]) }, r.document)
	})
}

// ask shows an answer that may take its time.
func ask[T any](r *remote, question func() (T, error), text func(T)) error {
	stop := meanwhile(r.err, still("the server reads the ledger"))
	answer, err := question()
	stop()
	if err != nil {
		return err
	}
	return r.show(answer, func() { text(answer) })
}

func (r *remote) past(p client.Past) {
	for _, k := range p.Kinds {
		more := ""
		if k.More {
			more = " or more"
		}
		if k.Lost > 0 {
			more += fmt.Sprintf(", and %d erased of which it is not known", k.Lost)
		}
		r.say("%-14s %d%s", k.Kind, k.Count, more)
	}
	r.say("\nAfter the first %d entries, at %s", p.Size, p.At.Format(time.RFC3339Nano))
}

func (r *remote) documents(list []client.PastDocument) {
	for _, d := range list {
		if d.Erased != nil {
			r.say("%s  %s", d.ID, why(d.Erased))
			continue
		}
		r.say("%s  %-32s in %s, since entry %d", d.ID, or(d.Name, "-"), or(d.Scope, "the installation"), d.Seq)
	}
	r.say("%d of them", len(list))
}

// why tells why something is not known.
func why(e *client.PastErasure) string {
	return fmt.Sprintf("not known since entry %d (%s) of %s: its body was erased by entry %d on %s, %q",
		e.Seq, e.Action, e.Time.Format(time.RFC3339), e.By, e.At.Format(time.RFC3339), e.Reason)
}

func (r *remote) document(d client.PastDocument) {
	if d.Erased != nil {
		r.say("%s %s in %s: %s", d.Kind, d.ID, or(d.Scope, "the installation"), why(d.Erased))
		return
	}
	r.say("%s %s in %s, since entry %d, revision %d", d.Kind, d.ID, or(d.Scope, "the installation"), d.Seq, d.Rev)
	var b bytes.Buffer
	if json.Indent(&b, d.Doc, "", "  ") == nil {
		r.say("%s", b.String())
	}
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

func newDiff(s streams) *cobra.Command {
	var from, to, scope string
	c := &cobra.Command{
		Use: "diff --from TIME --to TIME [KIND]", GroupID: "evidence",
		Short: "Show what became different between two moments, from the ledger",
		Long: `Lists what is new, changed or gone at the second moment compared with the first,
in the spaces and teams whose evidence you may read: which members changed, how
often, and who wrote it last. What changed and changed back says so, and so does
what came and went in between.`,
		Example: `  strongroom diff --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z
  strongroom diff --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z space --scope clinic`,
		Args: upTo("KIND"),
	}
	c.Flags().StringVar(&from, "from", "", "the first moment, RFC 3339")
	c.Flags().StringVar(&to, "to", "", "the second moment, RFC 3339")
	c.Flags().StringVar(&scope, "scope", "", "a space or a team (default all that you read evidence of)")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if from == "" || to == "" {
			return usage("--from and --to are needed")
		}
		kind := strings.Join(args, "")
		return ask(r, func() ([]client.Difference, error) { return r.Differences(ctx, from, to, scope, kind) }, r.differences)
	})
}

func (r *remote) differences(list []client.Difference) {
	for _, d := range list {
		r.say("%s %s  %s, written %d time(s), at last in entry %d by %s (%s)",
			d.Kind, or(d.Name, d.ID), d.Change, d.Times, d.Last.Seq, d.Last.By, d.Last.Action)
		if d.FromErased != nil {
			r.say("    before: %s", why(d.FromErased))
		}
		if d.ToErased != nil {
			r.say("    after: %s", why(d.ToErased))
		}
		for _, m := range d.Members {
			r.say("    %s: %s -> %s", m.Name, compact(m.From), compact(m.To))
		}
	}
	r.say("%d difference(s)", len(list))
}

// maxShown bounds what a line shows of a member's value; --json has it whole.
const maxShown = 200

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	if text := []rune(b.String()); len(text) > maxShown {
		return string(text[:maxShown]) + "…"
	}
	return b.String()
}

func newWhoCould(s streams) *cobra.Command {
	var on, at, do string
	c := &cobra.Command{
		Use: "who-could --on APP|SPACE|TEAM --at TIME", GroupID: "evidence",
		Short: "Show who could do what at a moment, and who had let them",
		Long: `Lists the people who had permissions on an app, a space or a team at a moment: by
which role or access to a single app, since which entry, given by whom. Operators
of the installation are among them, suspended accounts are not. What a permission
needs besides, such as an approval by a second person, is not told here.

A name that several things have is written with its kind: app:intake.`,
		Example: `  strongroom who-could --on intake --at 2026-03-01T00:00:00Z
  strongroom who-could --on space:clinic --at 2026-03-01T00:00:00Z --do app.secrets`,
		Args: exactly(),
	}
	c.Flags().StringVar(&on, "on", "", "the app, space or team, by name or id")
	c.Flags().StringVar(&at, "at", "", "the moment, RFC 3339")
	c.Flags().StringVar(&do, "do", "", "only who had this permission, such as app.secrets")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if on == "" || at == "" {
			return usage("--on and --at are needed")
		}
		return ask(r, func() ([]client.Able, error) { return r.WhoCould(ctx, on, at, do) }, r.able)
	})
}

func (r *remote) able(list []client.Able) {
	accounts := len(list)
	for _, x := range list {
		if x.Lost != nil {
			accounts--
			r.say("%s %s: %s", x.Lost.Kind, x.Lost.ID, why(x.Lost.Erased))
			continue
		}
		r.say("%s", x.Email)
		for _, h := range x.Holds {
			on := "the " + h.On.Kind
			if h.On.Name != nil {
				on = h.On.Kind + " " + *h.On.Name
			}
			second := ""
			if h.Approver != nil {
				second = " and " + *h.Approver
			}
			r.say("    %s of %s, given by %s%s in entry %d on %s\n        %s", h.As, on, h.GivenBy, second, h.Entry.Seq,
				h.Entry.Time.Format(time.RFC3339), strings.Join(h.Permissions, " "))
			if h.Entry.Erased != nil {
				r.say("        perhaps earlier: %s", why(h.Entry.Erased))
			}
		}
	}
	r.say("%d account(s)", accounts)
	if lost := len(list) - accounts; lost > 0 {
		r.say("%d document(s) that might tell of more were erased", lost)
	}
}
