package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// links makes a command about which apps of a space reach each other. change is
// nil for one that only reads.
func links(s streams, c *cobra.Command, change func(args []string) client.LinksChange) *cobra.Command {
	var space string
	c.GroupID = "use"
	c.Flags().StringVar(&space, "space", "", "the space")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) (err error) {
		if space == "" {
			return usage("--space is needed")
		}
		var l client.AppLinks
		if change == nil {
			l, err = r.AppLinks(ctx, space)
		} else {
			l, err = r.ChangeLinks(ctx, space, change(args))
		}
		if err != nil {
			return err
		}
		return r.show(l, func() { r.links(space, l) })
	})
}

func (r *remote) links(space string, l client.AppLinks) {
	if l.Mode == "any" {
		r.say("Every app of %s reaches every other. Links count once the mode is listed.", space)
	} else {
		r.say("Apps of %s reach their own dynos, the add-ons attached to them, and what these links name.", space)
	}
	for _, x := range l.Links {
		why := ""
		if x.Reason != "" {
			why = ": " + x.Reason
		}
		r.say("%s -> %s  by %s, %s%s", x.From.Name, x.To.Name, x.CreatedBy, x.CreatedAt.Format(time.RFC3339), why)
	}
}

func newSpacesLinks(s streams) *cobra.Command {
	return links(s, &cobra.Command{
		Use:     "spaces:links --space SPACE",
		Short:   "List which apps of a space reach each other, and who allowed it",
		Example: `  strongroom spaces:links --space clinic`,
		Args:    exactly(),
	}, nil)
}

func newSpacesLinksMode(s streams) *cobra.Command {
	return links(s, &cobra.Command{
		Use:   "spaces:links:mode any|listed --space SPACE",
		Short: "Say whether apps of a space reach every other, or only those that links name",
		Long: `any: the dynos of every app of the space may connect to those of every other.
listed: only where a link says so; open connections that none allows are cut. The
router reaches all of them in both. One-off dynos that run already go by the links
that there were when they began.`,
		Example: `  strongroom spaces:links:mode listed --space clinic --reason "two teams share the space now"`,
		Args:    exactly("MODE"),
	}, func(args []string) client.LinksChange { return client.LinksChange{Mode: args[0]} })
}

func newSpacesLinksAdd(s streams) *cobra.Command {
	return links(s, &cobra.Command{
		Use:     "spaces:links:add FROM TO --space SPACE",
		Short:   "Let one app's dynos connect to those of another",
		Example: `  strongroom spaces:links:add intake records --space clinic --reason "intake files what it takes in"`,
		Args:    exactly("FROM", "TO"),
	}, func(args []string) client.LinksChange {
		return client.LinksChange{Add: []client.AppPair{{From: args[0], To: args[1]}}}
	})
}

func newSpacesLinksRemove(s streams) *cobra.Command {
	return links(s, &cobra.Command{
		Use:     "spaces:links:remove FROM TO --space SPACE",
		Short:   "Let one app's dynos connect to those of another no longer",
		Example: `  strongroom spaces:links:remove intake records --space clinic`,
		Args:    exactly("FROM", "TO"),
	}, func(args []string) client.LinksChange {
		return client.LinksChange{Remove: []client.AppPair{{From: args[0], To: args[1]}}}
	})
}
