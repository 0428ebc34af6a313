package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

func newAccountsCreate(s streams) *cobra.Command {
	var name string
	var operator, password bool
	c := &cobra.Command{
		Use: "accounts:create EMAIL", GroupID: "people",
		Short: "Make an account for a person",
		Long: `Makes an account. Operators may. With --password the password is asked for, or
read from standard input; it never stands on the command line.`,
		Example: `  strongroom accounts:create dev@example.org --name "Dana Developer" --password`,
		Args:    exactly("EMAIL"),
	}
	c.Flags().StringVar(&name, "name", "", "the person's name")
	c.Flags().BoolVar(&operator, "operator", false, "let them create teams and accounts")
	c.Flags().BoolVar(&password, "password", false, "give them a password")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		a := client.NewAccount{Email: args[0], Name: name, Operator: operator}
		var err error
		if password {
			if a.Password, err = askToken(s); err != nil {
				return err
			}
		}
		out, err := r.CreateAccount(ctx, a)
		if err != nil {
			return err
		}
		return r.show(out, func() { r.say("Made the account %s.", out.Email) })
	})
}

func newAccountsSuspend(s streams) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use: "accounts:suspend EMAIL", GroupID: "people",
		Short:   "End what an account may do, at once and everywhere",
		Long:    `Suspends the account and revokes all its tokens.`,
		Example: `  strongroom accounts:suspend leaver@example.org --confirm leaver@example.org`,
		Args:    exactly("EMAIL"),
	}
	c.Flags().StringVar(&confirm, "confirm", "", "the address once more")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if confirm != args[0] {
			return usage("this ends all access of %s. Repeat the address: --confirm %s", args[0], args[0])
		}
		if err := r.SuspendAccount(ctx, args[0]); err != nil {
			return err
		}
		return r.show(map[string]string{"suspended": args[0]}, func() { r.say("Suspended %s.", args[0]) })
	})
}

func newTeamsCreate(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "teams:create NAME", GroupID: "people",
		Short:   "Make a team; you become its owner",
		Long:    `Makes a team. Operators may. A new team requires that a second person approves each release of code.`,
		Example: `  strongroom teams:create care`,
		Args:    exactly("NAME"),
	}
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		t, err := r.CreateTeam(ctx, args[0])
		if err != nil {
			return err
		}
		return r.show(t, func() { r.say("Made the team %s.", t.Name) })
	})
}

func newRolesGrant(s streams) *cobra.Command {
	var team string
	var exception bool
	c := &cobra.Command{
		Use: "roles:grant EMAIL ROLE --team TEAM", GroupID: "people",
		Short: "Give a person a role in a team",
		Long: `Gives a role: owner, admin, member, viewer, approver or auditor. The role
approver needs a second person, who decides with requests:grant. Where nobody
else could be one, --exception with a --reason grants it and leaves an
exception that auditors see.`,
		Example: `  strongroom roles:grant ann@example.org approver --team care
  strongroom roles:grant ann@example.org approver --team care --exception --reason "only one administrator so far"`,
		Args: exactly("EMAIL", "ROLE"),
	}
	c.Flags().StringVar(&team, "team", "", "the team")
	c.Flags().BoolVar(&exception, "exception", false, "grant without a second person")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if team == "" {
			return usage("--team is needed")
		}
		w, err := r.GrantRole(ctx, team, args[0], args[1], exception)
		if err != nil {
			return err
		}
		return r.show(w, func() { r.granted(w, team, "%s is now %s in %s.", args[0], args[1], team) })
	})
}

func (r *remote) granted(w client.Waiting, team, format string, args ...any) {
	if w.Request == nil {
		r.say(format, args...)
		return
	}
	r.say("This waits for a second person, who decides with:\n  strongroom requests:grant %s --team %s", w.Request.ID, team)
}

func newRolesRevoke(s streams) *cobra.Command {
	var team, confirm string
	c := &cobra.Command{
		Use: "roles:revoke EMAIL ROLE --team TEAM", GroupID: "people",
		Short:   "Take a role in a team away",
		Example: `  strongroom roles:revoke leaver@example.org member --team care --confirm leaver@example.org`,
		Args:    exactly("EMAIL", "ROLE"),
	}
	c.Flags().StringVar(&team, "team", "", "the team")
	c.Flags().StringVar(&confirm, "confirm", "", "the address once more")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if team == "" {
			return usage("--team is needed")
		}
		if confirm != args[0] {
			return usage("this ends what %s may do as %s in %s, at once. Repeat the address: --confirm %s", args[0], args[1], team, args[0])
		}
		if err := r.RevokeRole(ctx, team, args[0], args[1]); err != nil {
			return err
		}
		return r.show(map[string]string{"email": args[0], "revoked": args[1], "team": team}, func() {
			r.say("%s is no longer %s in %s.", args[0], args[1], team)
		})
	})
}

func newRequests(s streams) *cobra.Command {
	var team string
	c := &cobra.Command{
		Use: "requests --team TEAM", GroupID: "people",
		Short:   "List what waits for a second person",
		Example: `  strongroom requests --team care`,
		Args:    exactly(),
	}
	c.Flags().StringVar(&team, "team", "", "the team")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if team == "" {
			return usage("--team is needed")
		}
		list, err := r.Requests(ctx, team)
		if err != nil {
			return err
		}
		return r.show(list, func() {
			for _, q := range list {
				what := q.What
				if q.For != nil {
					what += " " + q.Role + " to " + q.For.Email
				}
				r.say("%s  %-8s  %s, asked by %s: %s", q.ID, q.State, what, q.By.Email, q.Reason)
			}
		})
	})
}

func newRequestsDecide(s streams, grant bool) *cobra.Command {
	verb, short := "refuse", "Refuse what somebody asked for"
	if grant {
		verb, short = "grant", "Grant what somebody asked for, as the second person"
	}
	var team string
	c := &cobra.Command{
		Use: "requests:" + verb + " ID --team TEAM", GroupID: "people",
		Short:   short,
		Example: "  strongroom requests:" + verb + " 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --team care",
		Args:    exactly("ID"),
	}
	c.Flags().StringVar(&team, "team", "", "the team")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if team == "" {
			return usage("--team is needed")
		}
		q, err := r.Decide(ctx, team, args[0], grant)
		if err != nil {
			return err
		}
		return r.show(q, func() { r.say("The request is %s.", q.State) })
	})
}

func newPolicy(s streams) *cobra.Command {
	var team, approvals, config, emergency string
	var exception bool
	c := &cobra.Command{
		Use: "policy --team TEAM", GroupID: "people",
		Short: "Show or change what a team requires",
		Long: `Without flags shows the team's policy. Making it weaker waits for a second
person, or needs --exception and a --reason where nobody else could be one.`,
		Example: `  strongroom policy --team care
  strongroom policy --team care --approvals 1 --approve-config yes
  strongroom policy --team care --emergency yes`,
		Args: exactly(),
	}
	c.Flags().StringVar(&team, "team", "", "the team")
	c.Flags().StringVar(&approvals, "approvals", "", "how many second persons a release of code needs: 0 or 1")
	c.Flags().StringVar(&config, "approve-config", "", "whether config changes need one too: yes or no")
	c.Flags().StringVar(&emergency, "emergency", "", "whether an owner or admin may let a release go live alone: yes or no")
	c.Flags().BoolVar(&exception, "exception", false, "weaken it without a second person")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if team == "" {
			return usage("--team is needed")
		}
		p := client.Policy{Exception: exception}
		switch approvals {
		case "":
		case "0", "1":
			n := strings.Index("01", approvals)
			p.Approvals = &n
		default:
			return usage("--approvals is 0 or 1")
		}
		var err error
		if p.ApproveConfig, err = yesOrNo("approve-config", config); err != nil {
			return err
		}
		if p.Emergency, err = yesOrNo("emergency", emergency); err != nil {
			return err
		}
		if p.Approvals != nil || p.ApproveConfig != nil || p.Emergency != nil {
			w, err := r.SetPolicy(ctx, team, p)
			if err != nil {
				return err
			}
			if w.Request != nil {
				return r.show(w, func() { r.granted(w, team, "") })
			}
		}
		now, err := r.Policy(ctx, team)
		if err != nil {
			return err
		}
		return r.show(now, func() {
			r.say("Approvals of code    %d\nConfig needs them    %v\nEmergency releases   %v", *now.Approvals, *now.ApproveConfig, now.Emergency != nil && *now.Emergency)
		})
	})
}

// yesOrNo reads a flag of that name; nil means that it was not given.
func yesOrNo(name, value string) (*bool, error) {
	switch yes := value == "yes"; value {
	case "":
		return nil, nil
	case "yes", "no":
		return &yes, nil
	default:
		return nil, usage("--%s is yes or no", name)
	}
}
