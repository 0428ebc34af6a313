package cli

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/witness"
)

// defaultWitness is where a witness keeps what it has.
const defaultWitness = "/var/lib/strongroom-witness"

func newWitness(s streams) *cobra.Command {
	var dir, listen, cert, key string
	c := &cobra.Command{
		Use: "witness", GroupID: "evidence",
		Short: "Cosign the checkpoints of logs on other machines",
		Long: `Runs a witness (C2SP tlog-witness) until it is told to stop: it remembers the
newest checkpoint of each log that it knows, and cosigns only what extends that.
It is of use only on a machine that the operator of the log does not administer.
witness:init makes one; witness:trust tells it of a log.

Without --cert it speaks HTTP: what it takes and gives is signed, and none of it
is secret.`,
		Example: `  strongroom witness --listen :8443 --cert cert.pem --key key.pem
  strongroom witness --dir /srv/witness --listen 127.0.0.1:8080`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if (cert == "") != (key == "") {
				return usage("--cert and --key belong together")
			}
			log := newLog(s.err)
			w, err := witness.Open(witness.Directory(dir), log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, w.Close()) }()
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			log.Info("witnessing", "address", l.Addr().String(), "dir", dir)
			return w.Serve(c.Context(), l, cert, key)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", defaultWitness, "the witness's directory")
	f.StringVar(&listen, "listen", ":8080", "the address to listen on")
	f.StringVar(&cert, "cert", "", "file of the certificate to show (PEM)")
	f.StringVar(&key, "key", "", "file of the certificate's key (PEM)")
	return c
}

func newWitnessInit(s streams) *cobra.Command {
	var dir, name string
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "witness:init", GroupID: "evidence",
		Short: "Make a witness's key, and print its verifier key",
		Long: `Makes the directory of a witness with a key of its own. The verifier key that it
prints goes into the settings of the server whose log it shall see, and to the
auditor, for evidence:verify --witness. The key never leaves this machine; a
witness that lost its directory is a new witness and needs a new name.`,
		Example: `  strongroom witness:init --name witness.example.org > witness.vkey`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if name == "" {
				return usage("--name is needed: the witness's, such as witness.example.org")
			}
			vkey, err := witness.Init(witness.Directory(dir), name)
			if err != nil {
				return err
			}
			return o.show(map[string]string{"name": name, "key": vkey, "dir": dir}, func() { o.say("%s", vkey) })
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultWitness, "the witness's directory, which this makes")
	c.Flags().StringVar(&name, "name", "", "the witness's name")
	o.flag(c)
	return c
}

func newWitnessTrust(s streams) *cobra.Command {
	var dir, origin string
	o := &output{streams: s}
	c := &cobra.Command{
		Use: "witness:trust LOG-KEY", GroupID: "evidence",
		Short: "Have a witness know a log by its verifier key",
		Long: `From now on the witness cosigns checkpoints of that log. LOG-KEY is what ledger:key
prints on the other machine, or a file of it. The first checkpoint is taken as it
comes; every later one must extend the one before. A log whose key was rotated has
both keys: call it again, with --origin.`,
		Example: `  strongroom witness:trust log.vkey
  strongroom witness:trust new.vkey --origin strongroom/5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11/2`,
		Args: exactly("LOG-KEY"),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := keyOrFile(args[0])
			if err != nil {
				return err
			}
			log, err := witness.Directory(dir).Trust(key, origin)
			if err != nil {
				return err
			}
			return o.show(log, func() { o.say("The witness knows %s by %d key(s).", log.Origin, len(log.Keys)) })
		},
	}
	c.Flags().StringVar(&dir, "dir", defaultWitness, "the witness's directory")
	c.Flags().StringVar(&origin, "origin", "", "the log's origin, the first line of its checkpoints (default: the name of its key)")
	o.flag(c)
	return c
}
