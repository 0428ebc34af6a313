package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

// outbound makes a command about what may leave a space.
func outbound(s streams, c *cobra.Command, run func(ctx context.Context, r *remote, space string, args []string) (client.Outbound, error)) *cobra.Command {
	var space string
	c.GroupID = "use"
	c.Flags().StringVar(&space, "space", "", "the space")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if space == "" {
			return usage("--space is needed")
		}
		o, err := run(ctx, r, space, args)
		if err != nil {
			return err
		}
		return r.show(o, func() { r.outbound(space, o) })
	})
}

func (r *remote) outbound(space string, o client.Outbound) {
	switch {
	case o.Mode == "open":
		r.say("%s is open: everything may leave it, but for the host, other spaces and clouds' own services.", space)
	case o.Mode == "registries":
		r.say("Nothing may leave %s but to where packages are, and what these rules name.", space)
	case len(o.Rules) == 0:
		r.say("Nothing may leave %s.", space)
	default:
		r.say("Nothing may leave %s but what these rules name.", space)
	}
	for _, rule := range o.Rules {
		r.say("%s", outboundText(rule))
	}
}

// outboundText is a rule as the commands take it, and who made it.
func outboundText(r client.OutboundRule) string {
	ports := strconv.Itoa(r.FromPort)
	if r.ToPort != r.FromPort {
		ports += "-" + strconv.Itoa(r.ToPort)
	}
	text := fmt.Sprintf("%-18s  %-3s  %-11s  by %s, %s", r.Target, r.Protocol, ports, named(r.CreatedBy, "?"), r.CreatedAt.Format(time.RFC3339))
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

func newSpacesOutbound(s streams) *cobra.Command {
	return outbound(s, &cobra.Command{
		Use:     "spaces:outbound --space SPACE",
		Short:   "List what may leave a space, and who allowed it when and why",
		Example: `  strongroom spaces:outbound --space clinic`,
		Args:    exactly(),
	}, func(ctx context.Context, r *remote, space string, _ []string) (client.Outbound, error) {
		return r.Outbound(ctx, space)
	})
}

func newSpacesOutboundAdd(s streams) *cobra.Command {
	var confirm string
	var named namedRule
	c := &cobra.Command{
		Use:   "spaces:outbound:add {NETWORK tcp|udp|any PORT[-PORT] | --name NAME --port PORT} --space SPACE",
		Short: "Let connections from a space out to a network, or to where a name leads",
		Long: `Lets new connections from a space out to a network's ports, or to those of where a
name leads. Such a name is the only one of the outside that the space's resolver
answers, with others like it: api.example.org, *.example.org for all that is below
it, or * for every name. What it leads to is open for as long as the answer says, a
minute at least and an hour at most.

The host, other spaces and clouds' own services stay closed, whatever a rule says;
private networks are open only to rules for networks. To open a shield space to the
whole world or much of it takes a --reason and the space's name, once more, with
--confirm.`,
		Example: `  strongroom spaces:outbound:add --name api.example.org --port 443 --space clinic --reason "the laboratory's API"
  strongroom spaces:outbound:add 203.0.113.0/24 tcp 443 --space clinic
  strongroom spaces:outbound:add 198.51.100.53 udp 53 --space clinic`,
		Args: named.args,
	}
	named.flags(c)
	c.Flags().StringVar(&confirm, "confirm", "", "the name of a shield space that is to be opened wide")
	return outbound(s, c, func(ctx context.Context, r *remote, space string, args []string) (client.Outbound, error) {
		rule, err := named.rule(args)
		if err != nil {
			return client.Outbound{}, err
		}
		return r.ChangeOutbound(ctx, space, client.OutboundChange{Add: []client.OutboundRule{rule}, Confirm: confirm})
	})
}

func newSpacesOutboundRemove(s streams) *cobra.Command {
	var named namedRule
	c := &cobra.Command{
		Use:   "spaces:outbound:remove {NETWORK|NAME tcp|udp|any PORT[-PORT] | --name NAME --port PORT} --space SPACE",
		Short: "Let connections to a network, or to where a name leads, out no longer",
		Long: `Removes an outbound rule of a space, which is named as spaces:outbound lists it.
Connections that no other rule allows are cut.`,
		Example: `  strongroom spaces:outbound:remove 203.0.113.0/24 tcp 443 --space clinic --reason "the contract has ended"
  strongroom spaces:outbound:remove --name api.example.org --port 443 --space clinic`,
		Args: named.args,
	}
	named.flags(c)
	return outbound(s, c, func(ctx context.Context, r *remote, space string, args []string) (client.Outbound, error) {
		rule, err := named.rule(args)
		if err != nil {
			return client.Outbound{}, err
		}
		return r.ChangeOutbound(ctx, space, client.OutboundChange{Remove: []client.OutboundRule{rule}})
	})
}

func newSpacesOutboundMode(s streams) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use:   "spaces:outbound:mode none|registries|open --space SPACE",
		Short: "Say whether everything may leave a space, only packages be fetched, or only what rules name",
		Long: `none: only what the space's rules name may leave it. registries: besides, packages
may be fetched from where the tools of languages, and Debian's, find them; each of
these names becomes a rule. open: everything may leave, but for the host, other
spaces and clouds' own services. Rules that were added by themselves stay in all.
To open a shield space takes a --reason and its name, once more, with --confirm.`,
		Example: `  strongroom spaces:outbound:mode none --space clinic --reason "all partners are on the list now"
  strongroom spaces:outbound:mode registries --space clinic`,
		Args: exactly("MODE"),
	}
	c.Flags().StringVar(&confirm, "confirm", "", "the name of a shield space that is to be opened")
	return outbound(s, c, func(ctx context.Context, r *remote, space string, args []string) (client.Outbound, error) {
		return r.ChangeOutbound(ctx, space, client.OutboundChange{Mode: args[0], Confirm: confirm})
	})
}

func newSpacesOutboundDenied(s streams) *cobra.Command {
	var space string
	c := &cobra.Command{
		Use: "spaces:outbound:denied --space SPACE", GroupID: "use",
		Short: "List what apps tried to reach outside of a space, and may not",
		Long: `Lists the destinations outside of a space that its apps tried to reach and that
no outbound rule allows, newest first: at most five hundred; the ledger has all of
them. The first attempt at a destination is on record within a minute or two, how
many it has become an hour later. A name is listed with dns where no rule covers
it, and with rebind where it led to the host, a space or a private network. Labels
of a name that are longer than people choose them may be data: * stands for them.`,
		Example: `  strongroom spaces:outbound:denied --space clinic`,
		Args:    exactly(),
	}
	c.Flags().StringVar(&space, "space", "", "the space")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if space == "" {
			return usage("--space is needed")
		}
		list, err := r.Refusals(ctx, space)
		if err != nil {
			return err
		}
		newestFirst(list)
		return r.show(list, func() {
			if len(list) == 0 {
				r.say("Nothing that was tried was refused.")
			}
			for _, x := range list {
				r.say("%s", refusalText(x))
			}
		})
	})
}

// newestFirst puts those in front that were tried last.
func newestFirst(list []client.Refusal) {
	slices.SortStableFunc(list, func(a, b client.Refusal) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
}

// refusalText begins as the rule does that would allow it.
func refusalText(r client.Refusal) string {
	who := "something that has ended"
	if r.App != nil {
		who = r.App.Name
	}
	if r.Dyno != nil {
		who += " " + *r.Dyno
	}
	what := "packets"
	if r.Protocol == "dns" || r.Protocol == "rebind" {
		what = "questions"
	}
	return fmt.Sprintf("%-18s  %-3s  %-11d  by %s, from %s to %s: %d %s or more",
		r.To, r.Protocol, r.Port, who, r.CreatedAt.Format(time.RFC3339), r.UpdatedAt.Format(time.RFC3339), r.Packets, what)
}

// namedRule are the flags that say a rule for a name.
type namedRule struct{ name, protocol, ports string }

func (n *namedRule) flags(c *cobra.Command) {
	c.Flags().StringVar(&n.name, "name", "", "a name such as api.example.org or *.example.org, instead of a network")
	c.Flags().StringVar(&n.ports, "port", "", "with --name: its port, or a range of ports")
	c.Flags().StringVar(&n.protocol, "protocol", "tcp", "with --name: tcp, udp or any")
}

// args wants the three that say a rule, or flags in their place.
func (n *namedRule) args(c *cobra.Command, args []string) error {
	switch {
	case n.name == "" && n.ports == "":
		return exactly("NETWORK", "PROTOCOL", "PORTS")(c, args)
	case n.name == "" || n.ports == "" || len(args) > 0:
		return usage("--name and --port go together, in place of NETWORK PROTOCOL PORTS. Run '%s --help' for an example.", c.CommandPath())
	}
	return nil
}

func (n *namedRule) rule(args []string) (client.OutboundRule, error) {
	if n.name != "" {
		args = []string{n.name, n.protocol, n.ports}
	}
	return outboundRule(args)
}

// outboundRule reads a rule of three arguments.
func outboundRule(args []string) (client.OutboundRule, error) {
	rule := client.OutboundRule{Target: args[0], Protocol: strings.ToLower(args[1])}
	first, last, ranged := strings.Cut(args[2], "-")
	if !ranged {
		last = first
	}
	var err, err2 error
	rule.FromPort, err = strconv.Atoi(first)
	rule.ToPort, err2 = strconv.Atoi(last)
	if err != nil || err2 != nil {
		return rule, usage("%q is not a port such as 443, or a range such as 8000-8080", args[2])
	}
	return rule, nil
}
