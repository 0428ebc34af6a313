// Command bench measures what the platform is meant to reach, each figure
// against a named peer measured in the same run, and prints the ratio.
//
// Nothing here is a test: no figure fails a build. Runs are interleaved (ours,
// peer, ours, peer …) and medians reported, because the machine is rarely idle.
// Ledgers that take long to build are kept in build/bench; everything else that
// a figure makes is gone when it ends. make bench runs it.
//
//	go run ./bench [-run FIGURE,…] [-entries N] [-runs N] [-json]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// figure is one promise and the program that measures it.
type figure struct {
	name string
	what string
	run  func(context.Context, *bench) error
}

var figures = []figure{
	{"append", "durable append, by concurrent callers", appendFigure},
	{"query", "listing of one app's month", queryFigure},
	{"proof", "inclusion proof of one entry", proofFigure},
	{"verify", "verification of a whole ledger", verifyFigure},
	{"past", "state at a past moment", pastFigure},
	{"status", "status of every control over the whole ledger, and running the checks", statusFigure},
	{"pack", "evidence packs of ten thousand to a million entries: export and verification", packFigure},
	{"memory", "idle memory of the platform's own processes", memoryFigure},
	{"keystroke", "a key to a container and its echo, recorded and not", keystrokeFigure},
	{"checks", "surveys of the host and attempts from space to space, in ten spaces", checksFigure},
	{"deploy", "release of a built image to its first byte", deployFigure},
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == exportCommand {
		return exportPack(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	b := &bench{out: stdout, progress: stderr}
	only := flags.String("run", "", "measure these figures only, by name, separated by commas")
	flags.Int64Var(&b.entries, "entries", 1_000_000, "length of the ledger that is appended to, asked and verified")
	flags.IntVar(&b.runs, "runs", 3, "interleaved runs of each measurement")
	flags.DurationVar(&b.slice, "slice", time.Second, "length of each measurement under load")
	flags.StringVar(&b.cache, "cache", "build/bench", "where built ledgers are kept")
	flags.BoolVar(&b.keep, "keep", false, "leave the installation up that was made for the figures of a whole platform")
	profile := flags.String("profile", "", "write a CPU profile of the figures to this file")
	asJSON := flags.Bool("json", false, "write the results as JSON instead of a table")
	flags.Usage = func() { usage(stderr, flags) }
	if err := flags.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(*only, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.measure(ctx, chosen, *profile); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if err := b.report(*asJSON); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprint(w, "usage: go run ./bench [flags]\n\nFigures (default: all):\n")
	for _, f := range figures {
		fmt.Fprintf(w, "  %-10s %s\n", f.name, f.what)
	}
	fmt.Fprint(w, "\nFlags:\n")
	flags.PrintDefaults()
}

func choose(only string, rest []string) ([]figure, error) {
	if len(rest) > 0 {
		return nil, fmt.Errorf("there is no argument %q; figures are chosen by -run", rest[0])
	}
	if only == "" {
		return figures, nil
	}
	var out []figure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no figure %q; there are: %s", name, strings.Join(figureNames(), ", "))
		}
		out = append(out, figures[i])
	}
	return out, nil
}

func figureNames() []string {
	var out []string
	for _, f := range figures {
		out = append(out, f.name)
	}
	return out
}
