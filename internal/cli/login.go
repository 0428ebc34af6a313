package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/fault"
)

func newLogin(s streams) *cobra.Command {
	var ca string
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "login URL", GroupID: "use",
		Short: "Remember a server and a token",
		Long: `Asks for a token (or reads it from standard input), checks it against the
server, and writes both to the profile in your configuration directory, readable
by you alone. STRONGROOM_URL, STRONGROOM_CA and STRONGROOM_TOKEN win over it.`,
		Example: `  strongroom login https://localhost.paas.example.org --ca ca.pem`,
		Args:    exactly("URL"),
		RunE: func(c *cobra.Command, args []string) error {
			p := profile{URL: args[0], CA: ca}
			if err := p.check(); err != nil {
				return err
			}
			var err error
			if p.Token, err = askToken(s); err != nil {
				return err
			}
			cl, err := client.New(client.Config{URL: p.URL, Token: p.Token, CAFile: p.CA})
			if err != nil {
				return err
			}
			me, err := cl.Me(c.Context())
			if err != nil {
				return err
			}
			p.Email = me.Email
			if err := p.write(); err != nil {
				return err
			}
			return o.show(map[string]string{"url": p.URL, "email": p.Email}, func() { o.say("Logged in to %s as %s.", p.URL, p.Email) })
		},
	}
	c.Flags().StringVar(&ca, "ca", "", "file of the authority that signed the server's certificate")
	o.flag(c)
	return c
}

// askToken reads a token without showing it.
func askToken(s streams) (string, error) {
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(s.err, "Token: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.err)
		return strings.TrimSpace(string(b)), err
	}
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", fault.New(fault.Invalid, "no token on standard input (%v)", err)
	}
	return line, nil
}
