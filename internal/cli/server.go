package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/engine"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/server"
)

// DefaultConfig is where the processes of an installation read their settings.
const DefaultConfig = "/etc/strongroom/strongroom.json"

// readConfig reads a JSON file into each of the given structs' own part.
// Unknown keys are refused: a misspelt setting must not be a default.
func readConfig(path string, into any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == DefaultConfig {
		return nil
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.New(fault.Invalid, "%s: %v", path, err)
	}
	return nil
}

func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func newServer(s streams) *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "server", GroupID: "run",
		Short: "Run the server: API, git, sessions, control",
		Long: `Runs the unprivileged server until it is told to stop. 'strongroom supervise'
starts it; by itself it is for those who supervise processes otherwise.`,
		Example: `  strongroom server --config /etc/strongroom/strongroom.json`,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readSettings(config, newLog(s.err))
			if err != nil {
				return err
			}
			return server.Run(c.Context(), cfg.Server, newLog(s.err))
		},
	}
	c.Flags().StringVar(&config, "config", DefaultConfig, "the settings file")
	return c
}

type initOptions struct {
	streams
	config, email string
	json          bool
}

func newInit(s streams) *cobra.Command {
	o := &initOptions{streams: s}
	c := &cobra.Command{
		Use: "init", GroupID: "run",
		Short: "Make an installation: keys, certificate, ledger, first operator",
		Long: `Makes an installation in the data directory that the settings name, and
prints the log's verifier key and its fingerprint. They belong into your
auditor's engagement letter: packs are not where one learns them from.`,
		Example: `  strongroom init --email ops@example.org`,
		Args:    exactly(),
		RunE:    func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.Flags().StringVar(&o.config, "config", DefaultConfig, "the settings file")
	c.Flags().StringVar(&o.email, "email", "", "the first operator's address")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON, with the operator's token")
	return c
}

func (o *initOptions) run(c *cobra.Command) error {
	if o.email == "" {
		return usage("--email is needed: the first operator's address")
	}
	cfg, err := readSettings(o.config, newLog(o.err))
	if err != nil {
		return err
	}
	in, err := server.Init(c.Context(), cfg.Server, o.email, newLog(o.err))
	if err != nil {
		return err
	}
	// What is made as root belongs to the server, which runs as its own user.
	if os.Geteuid() == 0 {
		if err := errors.Join(giveToServer(cfg.Data), giveSettings(o.config)); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(o.out).Encode(map[string]string{
			"installation": in.ID, "log_key": in.LogKey, "fingerprint": in.Fingerprint,
			"email": in.Email, "token": string(in.Token.Reveal()), "ca": in.CA,
		})
	}
	fmt.Fprintf(o.out, `Installation  %s
Log key       %s
Fingerprint   %s
Operator      %s
Token         %s
API's CA      %s

The token is shown this once. Write the log key down where your auditor will
look for it: it is what evidence packs are checked against.
`, in.ID, in.LogKey, in.Fingerprint, in.Email, in.Token.Reveal(), in.CA)
	return nil
}

func giveToServer(data string) error {
	for _, dir := range []string{"server", "secrets", "anchor"} {
		if err := filepath.WalkDir(filepath.Join(data, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, engine.ServerUID, engine.ServerUID)
		}); err != nil {
			return fmt.Errorf("give the data to the server's user: %w", err)
		}
	}
	return errors.Join(os.Chmod(data, 0o711), os.Chmod(filepath.Join(data, "images"), 0o755))
}
