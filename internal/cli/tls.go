package cli

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/client"
)

func newSpacesTLS(s streams) *cobra.Command {
	var minimum, hsts string
	c := &cobra.Command{
		Use: "spaces:tls SPACE", GroupID: "use",
		Short: "Show or change what connections to a space's apps have at least",
		Long: `Shows the least version of TLS of a space, and whether answers tell browsers to
come by TLS alone for a year (HSTS); with flags it changes them. Nothing below
TLS 1.2 is ever spoken. A domain can ask for more than its space, not for less
(domains:tls). In a shield space HSTS stays on.`,
		Example: `  strongroom spaces:tls clinic --min 1.3`,
		Args:    exactly("SPACE"),
	}
	c.Flags().StringVar(&minimum, "min", "", "the least version: 1.2 or 1.3")
	c.Flags().StringVar(&hsts, "hsts", "", "on or off")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		in, err := spaceTLSChange(minimum, hsts)
		if err != nil {
			return err
		}
		var now client.SpaceTLS
		if in == (client.SpaceTLSChange{}) {
			now, err = r.SpaceTLS(ctx, args[0])
		} else {
			now, err = r.UpdateSpaceTLS(ctx, args[0], in)
		}
		if err != nil {
			return err
		}
		return r.show(now, func() { r.say("Least version: TLS %s\nHSTS: %s", now.MinVersion, onOff(now.HSTS)) })
	})
}

func spaceTLSChange(minimum, hsts string) (in client.SpaceTLSChange, err error) {
	if minimum != "" {
		in.MinVersion = &minimum
	}
	switch hsts {
	case "":
	case "on", "off":
		in.HSTS = new(hsts == "on")
	default:
		err = usage("--hsts is on or off")
	}
	return in, err
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func newDomainsTLS(s streams) *cobra.Command {
	var app, minimum, bundle string
	var everybody bool
	c := &cobra.Command{
		Use: "domains:tls HOSTNAME --app APP", GroupID: "use",
		Short: "Show or change what connections to a domain have at least",
		Long: `Shows the least version of TLS of a domain, and who vouches for its clients; with
flags it changes them.

With --clients, a client without a certificate by one of the authorities in the
file is refused in the TLS handshake. The app reads who it is in the header
Client-Cert (RFC 9440), which clients cannot set. It holds for this domain
alone: the app's other domains are open to others until they have it too.`,
		Example: `  strongroom domains:tls lab.example.org --app intake --clients partners.pem
  strongroom domains:tls lab.example.org --app intake --everybody --reason "partners log in by themselves now"`,
		Args: exactly("HOSTNAME"),
	}
	c.Flags().StringVarP(&app, "app", "a", "", "the app (needed)")
	c.Flags().StringVar(&minimum, "min", "", "the least version: 1.2 or 1.3")
	c.Flags().StringVar(&bundle, "clients", "", "PEM file of the authorities that vouch for clients")
	c.Flags().BoolVar(&everybody, "everybody", false, "ask clients for no certificate; needs --reason")
	return talk(s, c, func(ctx context.Context, r *remote, args []string) error {
		switch {
		case app == "":
			return usage("--app is needed")
		case everybody && (bundle != "" || r.reason == ""):
			return usage("--everybody needs a --reason, and no --clients")
		}
		in, err := domainTLSChange(minimum, bundle, everybody)
		if err != nil {
			return err
		}
		var now client.DomainTLS
		if in == (client.DomainTLSChange{}) {
			now, err = r.DomainTLS(ctx, app, args[0])
		} else {
			now, err = r.UpdateDomainTLS(ctx, app, args[0], in)
		}
		if err != nil {
			return err
		}
		return r.show(now, func() { r.domainTLS(now) })
	})
}

// maxBundle is more than any bundle may have.
const maxBundle = 256 << 10

func domainTLSChange(minimum, bundle string, everybody bool) (in client.DomainTLSChange, err error) {
	if minimum != "" {
		in.MinVersion = &minimum
	}
	in.Everybody = everybody
	if bundle != "" {
		f, err := os.Open(bundle)
		if err != nil {
			return in, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxBundle))
		if err != nil {
			return in, err
		}
		pem := string(text)
		in.Bundle = &pem
	}
	return in, nil
}

func (r *remote) domainTLS(d client.DomainTLS) {
	r.say("Least version: TLS %s", d.MinVersion)
	if d.ClientAuthorities == nil {
		r.say("Clients: everybody")
		return
	}
	r.say("Clients: those with a certificate by")
	for _, subject := range d.ClientAuthorities.Subjects {
		r.say("  %s", subject)
	}
	r.say("until %s, when one of these ends", d.ClientAuthorities.EndsAt.Format(time.DateOnly))
}
