package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/sample"
)

type evidenceSample struct {
	output
	ask            sample.Ask
	where          []string
	pack, key, dir string
}

func newEvidenceSample(s streams) *cobra.Command {
	o := &evidenceSample{output: output{streams: s}}
	c := &cobra.Command{
		Use: "evidence:sample PACK --report NAME --seed TEXT --count N", GroupID: "evidence",
		Short: "Draw a sample from an evidence pack, offline",
		Long: `Verifies the pack, and draws rows of one of its provable reports in the order
that your seed gives. Choose the seed when you have the pack, and nobody could
have known what you would look at. The same seed draws the same rows everywhere,
also in the pack's index.html; docs/reference/sampling.md says how to check that
with sha256sum.

With --out, each row gets a dossier, to read and as JSON: every entry of the pack
that belongs to it, in order, with what it changed.

Exit codes are those of evidence:verify. Nothing is drawn from a pack that is
refused.`,
		Example: `  strongroom evidence:sample q1.zip --key log.vkey --report deployments --seed 'dice 4 1 6 6 2' --count 25 --out dossiers
  strongroom evidence:sample q1.zip --key log.vkey --report access-events --seed '2026-11-23 lottery' --count 10 --where outcome=denied`,
		Args: exactly("PACK"),
		RunE: func(c *cobra.Command, args []string) error {
			o.pack = args[0]
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.ask.Report, "report", "", "a provable report, such as deployments")
	f.StringVar(&o.ask.Seed, "seed", "", "a text of your own choice")
	f.IntVar(&o.ask.Count, "count", 25, "how many rows")
	f.StringArrayVar(&o.where, "where", nil, "COLUMN=VALUE: only rows that have it (repeatable)")
	f.StringVar(&o.key, "key", "", "the log's verifier key, or a file that holds it")
	f.StringVar(&o.dir, "out", "", "a directory to write dossiers to; it must not exist")
	o.flag(c)
	return c
}

func (o *evidenceSample) run(ctx context.Context) error {
	if o.ask.Report == "" || o.ask.Seed == "" {
		return usage("--report and --seed are needed")
	}
	o.ask.Where = []sample.Equal{}
	for _, w := range o.where {
		column, value, ok := strings.Cut(w, "=")
		if !ok {
			return usage("--where %q is not COLUMN=VALUE", w)
		}
		o.ask.Where = append(o.ask.Where, sample.Equal{Column: column, Value: value})
	}
	key, err := keyOrFile(o.key)
	if err != nil {
		return err
	}
	f, size, err := openSized(o.pack)
	if err != nil {
		return err
	}
	defer f.Close()
	p, drawn, err := o.draw(ctx, pack.Archive{ReaderAt: f, Size: size}, key)
	if err != nil {
		return err
	}
	if err := o.show(drawn, func() { o.print(p, drawn) }); err != nil {
		return err
	}
	if code := p.Result.ExitCode(); code != 0 {
		return &exit{code, "no key was given: anybody could have made this pack. Fingerprint: " + p.Result.Fingerprint}
	}
	return nil
}

func (o *evidenceSample) draw(ctx context.Context, source pack.Archive, key string) (*pack.Pack, *sample.Sample, error) {
	defer meanwhile(o.err, still("verifying and drawing"))()
	p, err := pack.Open(ctx, source, pack.Options{Key: key})
	var refusal *pack.Refusal
	if errors.As(err, &refusal) {
		return nil, nil, &exit{1, "nothing is drawn: " + refusal.Error()}
	}
	if err != nil {
		return nil, nil, err
	}
	drawn, err := sample.Draw(ctx, p, o.ask)
	if err != nil || o.dir == "" {
		return p, drawn, err
	}
	if _, err := os.Lstat(o.dir); err == nil {
		return nil, nil, usage("%s exists already. Name another directory with --out.", o.dir)
	}
	dossiers, err := sample.Dossiers(ctx, p, drawn.Items)
	if err != nil {
		return nil, nil, err
	}
	return p, drawn, sample.Write(o.dir, drawn, p.Result, dossiers)
}

func (o *evidenceSample) print(p *pack.Pack, s *sample.Sample) {
	o.say("pack        %s", p.Result.Verdict)
	o.say("population  %d rows of %s", s.Population, s.Path)
	for _, w := range s.Where {
		o.say("            that have %s in the column %s", visible(w.Value), visible(w.Column))
	}
	o.say("drawn       the first %d by SHA-256 of the seed %q, the report's path and the row's identity\n", len(s.Items), s.Seed)
	if len(s.Items) == 0 {
		return
	}
	var titles []string
	for _, title := range s.Head[1:min(len(s.Head), 5)] {
		titles = append(titles, visible(title))
	}
	w := tabwriter.NewWriter(o.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "ORDER\tIDENTITY\t%s\n", strings.ToUpper(strings.Join(titles, "\t")))
	for _, i := range s.Items {
		fmt.Fprintf(w, "%s…\t%s", i.Order[:12], visible(i.Identity))
		for _, cell := range i.Cells[1:min(len(i.Cells), 5)] {
			fmt.Fprintf(w, "\t%s", visible(cell))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	if o.dir != "" {
		o.say("\nWrote a dossier of each to %s. Begin with index.html.", o.dir)
	}
}

// visible is a text of a pack for a terminal, which would do what control
// characters say.
func visible(s string) string {
	const most = 60
	out := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s))
	if len(out) > most {
		out = append(out[:most-1], '…')
	}
	return string(out)
}
