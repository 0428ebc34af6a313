package cli

import (
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/fault"
)

func newHeroku(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "heroku ARGS...", GroupID: "use",
		Short: "Run the real heroku CLI against this server",
		Long: `Runs the heroku CLI (from STRONGROOM_HEROKU, or PATH) with every variable set
that makes it talk to this server and to no other. It refuses to run where a
name would make the CLI fall back to Heroku and send your token there.`,
		Example: `  strongroom heroku apps
  strongroom heroku run -a intake -- bash`,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return c.Help()
			}
			return runHeroku(c, s, args)
		},
	}
}

func runHeroku(c *cobra.Command, s streams, args []string) error {
	p, err := readProfile()
	if err != nil {
		return err
	}
	env, err := p.herokuEnv()
	if err != nil {
		return err
	}
	program := os.Getenv("STRONGROOM_HEROKU")
	if program == "" {
		program = "heroku"
	}
	if program, err = exec.LookPath(program); err != nil {
		return fault.New(fault.NotFound, "The heroku CLI was not found (%v). Install it (npm install -g heroku), or name it in STRONGROOM_HEROKU.", err)
	}
	cmd := exec.CommandContext(c.Context(), program, args...)
	cmd.Env = append(withoutHeroku(os.Environ()), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return &exit{failed.ExitCode(), ""}
	}
	return err
}

// withoutHeroku drops what an environment says to the heroku CLI already.
func withoutHeroku(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "HEROKU_") && !strings.HasPrefix(e, "NODE_EXTRA_CA_CERTS=") {
			out = append(out, e)
		}
	}
	return out
}

func newEnv(s streams) *cobra.Command {
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "env", GroupID: "use",
		Short: "Print the variables that make the heroku CLI and git use this server",
		Long: `Prints shell commands that set every variable the heroku CLI needs, and those
that give git your token for this server. One of them is the token.`,
		Example: `  eval "$(strongroom env)"`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			p, err := readProfile()
			if err != nil {
				return err
			}
			env, err := p.herokuEnv()
			if err != nil {
				return err
			}
			variables := map[string]string{}
			for _, e := range env {
				name, value, _ := strings.Cut(e, "=")
				variables[name] = value
			}
			return o.show(variables, func() {
				for _, e := range env {
					name, value, _ := strings.Cut(e, "=")
					o.say("export %s='%s'", name, strings.ReplaceAll(value, "'", `'\''`))
				}
			})
		},
	}
	o.flag(c)
	return c
}
