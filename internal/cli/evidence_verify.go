package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/timestamp"
)

type evidenceVerify struct {
	output
	pack, key, since, previous, tsa string
	witnesses                       []string
	quorum                          int
}

func newEvidenceVerify(s streams) *cobra.Command {
	o := &evidenceVerify{output: output{streams: s}}
	c := &cobra.Command{
		Use: "evidence:verify PACK", GroupID: "evidence",
		Short: "Check an evidence pack, offline",
		Long: `Checks every file, signature, proof, entry and report of an evidence pack.
Nothing is fetched and nothing is sent.

Exit codes: 0 VERIFIED; 1 REFUSED, with the check, the file and the entry at
fault; 3 CONSISTENT, ORIGIN NOT CHECKED: no key was given.`,
		Example: `  strongroom evidence:verify pack.zip --key log.vkey
  strongroom evidence:verify pack.zip --key log.vkey --witness witness.vkey --tsa tsa-ca.pem
  strongroom evidence:verify q2.zip --key log.vkey --previous q1.zip`,
		Args: exactly("PACK"),
		RunE: func(c *cobra.Command, args []string) error {
			o.pack = args[0]
			return o.run(c)
		},
	}
	f := c.Flags()
	f.StringVar(&o.key, "key", "", "the log's verifier key, or a file that holds it")
	f.StringArrayVar(&o.witnesses, "witness", nil, "a witness's verifier key, or a file that holds it (repeatable)")
	f.IntVar(&o.quorum, "quorum", 0, "how many of the witnesses must have cosigned (default all)")
	f.StringVar(&o.tsa, "tsa", "", "file of the certificates (PEM) by which time stamps are trusted: the pack must have one")
	f.StringVar(&o.since, "since", "", "file of an older checkpoint that the pack must extend")
	f.StringVar(&o.previous, "previous", "", "the pack of the period before, to prove the opening state")
	o.flag(c)
	return c
}

func (o *evidenceVerify) run(c *cobra.Command) error {
	opts := pack.Options{Quorum: o.quorum}
	var err error
	if opts.Key, err = keyOrFile(o.key); err != nil {
		return err
	}
	for _, w := range o.witnesses {
		key, err := keyOrFile(w)
		if err != nil {
			return err
		}
		opts.Witnesses = append(opts.Witnesses, key)
	}
	if o.tsa != "" {
		if opts.Stamp, err = stampsBy(o.tsa); err != nil {
			return err
		}
	}
	if o.since != "" {
		if opts.Since, err = os.ReadFile(o.since); err != nil {
			return err
		}
	}
	if o.previous != "" {
		f, size, err := openSized(o.previous)
		if err != nil {
			return err
		}
		defer f.Close()
		opts.Previous = &pack.Archive{ReaderAt: f, Size: size}
	}
	f, size, err := openSized(o.pack)
	if err != nil {
		return err
	}
	defer f.Close()
	stop := meanwhile(o.err, still("verifying"))
	result, err := pack.Verify(c.Context(), f, size, opts)
	stop()
	var refusal *pack.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	if o.json {
		return o.printJSON(result, refusal)
	}
	return o.print(result, refusal)
}

func openSized(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// stampsBy verifies time stamps by the certificates in a file.
func stampsBy(file string) (func(token, text []byte) (time.Time, string, error), error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := timestamp.Roots(pem)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %s", file, fault.Message(err))
	}
	return func(token, text []byte) (time.Time, string, error) {
		s, err := timestamp.Verify(token, text, roots)
		return s.At, s.By, err
	}, nil
}

// keyOrFile reads a key from a file if it is none itself.
func keyOrFile(s string) (string, error) {
	if s == "" || strings.Count(s, "+") >= 2 {
		return s, nil
	}
	b, err := os.ReadFile(s)
	if err != nil {
		return "", fmt.Errorf("%q is neither a verifier key nor a file: %w", s, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (o *evidenceVerify) print(r *pack.Result, refusal *pack.Refusal) error {
	for _, c := range r.Checks {
		mark := "ok     "
		if !c.OK {
			mark = "REFUSED"
		}
		fmt.Fprintf(o.out, "%s  %s\n", mark, c.Group)
		for _, d := range c.Details {
			fmt.Fprintf(o.out, "         %s\n", d)
		}
	}
	if m := r.Manifest; m != nil {
		fmt.Fprintf(o.out, "\nperiod   %s to %s\n", m.Period.From.UTC(), m.Period.To.UTC())
	}
	if r.Origin != "" {
		fmt.Fprintf(o.out, "log      %s, %d entries\n", r.Origin, r.Size)
	}
	if r.Fingerprint != "" {
		fmt.Fprintf(o.out, "key      %s\n", r.Fingerprint)
	}
	if m := r.Manifest; m != nil && m.Simulated {
		fmt.Fprintf(o.out, "\nSIMULATED: nothing that this pack tells has happened\n")
	}
	fmt.Fprintf(o.out, "\n%s\n", r.Verdict)
	if refusal != nil {
		return &exit{1, refusal.Error()}
	}
	if code := r.ExitCode(); code != 0 {
		return &exit{code, "no key was given: compare the fingerprint above with the one that you know, or give --key"}
	}
	return nil
}

func (o *evidenceVerify) printJSON(r *pack.Result, refusal *pack.Refusal) error {
	out := struct {
		Verdict     pack.Verdict  `json:"verdict"`
		Fingerprint string        `json:"fingerprint"`
		Origin      string        `json:"origin"`
		Size        int64         `json:"size"`
		Checks      []pack.Check  `json:"checks"`
		Refusal     *pack.Refusal `json:"refusal"`
	}{r.Verdict, r.Fingerprint, r.Origin, r.Size, r.Checks, refusal}
	if err := o.show(out, nil); err != nil || r.ExitCode() == 0 {
		return err
	}
	return &exit{r.ExitCode(), ""}
}
