package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// output prints what a command has to say, to people or to programs.
type output struct {
	streams
	json bool
}

// flag declares --json.
func (o *output) flag(c *cobra.Command) { c.Flags().BoolVar(&o.json, "json", false, "print JSON") }

// show prints a value as JSON if that was asked for, else what text prints.
func (o *output) show(v any, text func()) error {
	if !o.json {
		text()
		return nil
	}
	enc := json.NewEncoder(o.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (o *output) say(format string, args ...any) { fmt.Fprintf(o.out, format+"\n", args...) }

// patience is how long a command may be silent.
const patience = 2 * time.Second

// meanwhile writes a line every two seconds until it is stopped, so that nobody
// takes what is slow for dead.
func meanwhile(w io.Writer, line func(time.Duration) string) (stop func()) {
	done := make(chan struct{})
	var stopped sync.WaitGroup
	stopped.Go(func() {
		begun := time.Now()
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintln(w, line(time.Since(begun).Round(time.Second)))
			}
		}
	})
	return func() { close(done); stopped.Wait() }
}

// still is the line of what cannot say how far it is.
func still(what string) func(time.Duration) string {
	return func(t time.Duration) string { return fmt.Sprintf("%s (%s)", what, t) }
}
