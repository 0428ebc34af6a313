package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/recording"
)

func newReleasesApprove(s streams) *cobra.Command {
	var app, note string
	var emergency bool
	c := &cobra.Command{
		Use: "releases:approve VERSION --app APP", GroupID: "use",
		Short: "Let a release of somebody else's go live",
		Long: `Approves a release that waits for a second person. Whoever pushed it cannot,
nor can an account or a role that they made.

With --emergency and a --reason an owner or admin lets it go live alone, also
if they pushed it, where the team's policy allows that (strongroom policy).
Afterwards a second person approves it by the same command without --emergency:
that is its review, and until then the release is a failed check.`,
		Example: `  strongroom releases:approve v3 --app intake --note "reviewed in #42"
  strongroom releases:approve v4 --app intake --emergency --reason "intake answers 500 to everybody"`,
		Args: exactly("VERSION"),
	}
	c.Flags().StringVarP(&app, "app", "a", "", "the app")
	c.Flags().StringVar(&note, "note", "", "what you checked: goes on record")
	c.Flags().BoolVar(&emergency, "emergency", false, "let it go live without a second person")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		switch {
		case app == "":
			return usage("--app is needed")
		case emergency && note != "":
			return usage("--note is a second person's; in an emergency give the --reason")
		case emergency:
			return r.letLive(ctx, app, args[0])
		}
		rel, err := r.Approve(ctx, app, args[0], note)
		if err != nil {
			return err
		}
		said := "Approved v%d of %s; it is %s."
		if rel.Strongroom.Emergency {
			said = "Reviewed v%d of %s, which went live in an emergency; it is %s."
		}
		return r.show(rel, func() { r.say(said, rel.Version, app, rel.Status) })
	})
}

// letLive lets a release go live in an emergency, and says what is left to do.
func (r *remote) letLive(ctx context.Context, app, version string) error {
	rel, err := r.Emergency(ctx, app, version)
	if err != nil {
		return err
	}
	return r.show(rel, func() {
		r.say("v%d of %s goes live in an emergency; it is %s.", rel.Version, app, rel.Status)
		r.say("A second person must review it: strongroom releases:approve v%d --app %s --note \"...\"", rel.Version, app)
	})
}

func newAppsEPHI(s streams) *cobra.Command {
	return newEPHI(s, &cobra.Command{
		Use: "apps:ephi yes|no|unknown --app APP", GroupID: "use",
		Short:   "Say whether an app holds electronic protected health information",
		Example: `  strongroom apps:ephi yes --app intake`,
	}, "app", "a", (*client.Client).MarkEPHI)
}

func newAddonsEPHI(s streams) *cobra.Command {
	return newEPHI(s, &cobra.Command{
		Use: "addons:ephi yes|no|unknown --addon ADDON", GroupID: "use",
		Short:   "Say whether a database holds electronic protected health information",
		Example: `  strongroom addons:ephi yes --addon records`,
	}, "addon", "", (*client.Client).MarkAddonEPHI)
}

// newEPHI makes a command that marks what the flag names.
func newEPHI(s streams, c *cobra.Command, flag, short string, mark func(*client.Client, context.Context, string, string) error) *cobra.Command {
	var what string
	c.Args = exactly("MARK")
	c.Flags().StringVarP(&what, flag, short, "", "which "+flag)
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		if what == "" {
			return usage("--%s is needed", flag)
		}
		if err := mark(r.Client, ctx, what, args[0]); err != nil {
			return err
		}
		return r.show(map[string]string{flag: what, "ephi": args[0]}, func() { r.say("%s: ephi is %s.", what, args[0]) })
	})
}

func newSessions(s streams) *cobra.Command {
	var space string
	c := &cobra.Command{
		Use: "sessions --space SPACE", GroupID: "evidence",
		Short:   "List who had a terminal or a database connection",
		Example: `  strongroom sessions --space clinic`,
		Args:    exactly(),
	}
	c.Flags().StringVar(&space, "space", "", "the space")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if space == "" {
			return usage("--space is needed")
		}
		list, err := r.Sessions(ctx, space)
		if err != nil {
			return err
		}
		return r.show(list, func() {
			for _, x := range list {
				app, ended := "", "still open"
				if x.App != nil {
					app = x.App.Name
				}
				if x.EndedAt != nil {
					ended = x.EndedAt.Sub(x.StartedAt).Round(time.Second).String()
				}
				r.say("%s  %s  %-11s %s %s %s (%s)", x.ID, x.StartedAt.Format(time.RFC3339), x.State, x.User.Email, app, x.Dyno, ended)
			}
		})
	})
}

func newSessionsPlay(s streams) *cobra.Command {
	var space string
	var speed float64
	var typed, raw bool
	c := &cobra.Command{
		Use: "sessions:play ID --space SPACE", GroupID: "evidence",
		Short: "Replay a recorded session",
		Long: `Replays what was on the screen. Control sequences that could do something to
your own terminal are held back. That you watched it goes on record.`,
		Example: `  strongroom sessions:play 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --space clinic --speed 4
  strongroom sessions:play 01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0 --space clinic --typed`,
		Args: exactly("ID"),
	}
	c.Flags().StringVar(&space, "space", "", "the space")
	c.Flags().Float64Var(&speed, "speed", 1, "how many times faster")
	c.Flags().BoolVar(&typed, "typed", false, "print what was typed instead")
	c.Flags().BoolVar(&raw, "raw", false, "print the asciicast itself")
	return connect(&remote{output: output{streams: s}}, c, func(ctx context.Context, r *remote, args []string) error {
		if space == "" {
			return usage("--space is needed")
		}
		cast, err := r.Recording(ctx, space, args[0])
		if err != nil {
			return err
		}
		defer cast.Close()
		switch {
		case raw:
			_, err = io.Copy(r.out, cast)
		case typed:
			err = recording.Typed(cast, r.out)
		default:
			err = recording.Play(ctx, cast, r.out, speed, 2*time.Second)
		}
		return err
	})
}

func newSpacesProbe(s streams) *cobra.Command {
	var space string
	c := &cobra.Command{
		Use: "spaces:probe --space SPACE", GroupID: "evidence",
		Short: "Have the platform attack a space from every other, now",
		Long: `Starts a process in every other space that tries to reach each dyno and database
of this one, and puts the results on record. The platform does so by itself every
hour. Exits with 1 if an attempt was not refused.`,
		Example: `  strongroom spaces:probe --space clinic`,
		Args:    exactly(),
	}
	c.Flags().StringVar(&space, "space", "", "the space")
	return talk(s, c, func(ctx context.Context, r *remote, _ []string) error {
		if space == "" {
			return usage("--space is needed")
		}
		stop := meanwhile(r.err, still("attacking"))
		list, err := r.Attack(ctx, space)
		stop()
		if err != nil {
			return err
		}
		failed := 0
		for _, a := range list {
			if !a.Refused {
				failed++
			}
		}
		if err := r.show(list, func() {
			for _, a := range list {
				verdict := "refused"
				if !a.Refused {
					verdict = "NOT REFUSED"
				}
				r.say("%-11s  %s, from %s, at %s: %s (%d times)", verdict, a.Name, a.From, a.Target, a.Result, a.Count)
			}
		}); err != nil {
			return err
		}
		if failed > 0 {
			return &exit{1, "the space is not isolated"}
		}
		return nil
	})
}
