package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is one measured figure and its peer's, medians of the runs.
type Result struct {
	Figure string  `json:"figure"`
	Case   string  `json:"case"`
	Ours   float64 `json:"ours"`
	Unit   string  `json:"unit"`
	Peer   string  `json:"peer,omitempty"` // what it is compared with
	Theirs float64 `json:"theirs,omitempty"`
	// Ratio is ours/theirs. With Up more is better, else less.
	Ratio float64 `json:"ratio,omitempty"`
	Up    bool    `json:"more_is_better"`
	Aim   string  `json:"aim,omitempty"`
	Met   *bool   `json:"met,omitempty"`
	// Runs are our single measurements: how far they lie apart tells how far
	// the medians can be trusted.
	Runs []float64 `json:"runs,omitempty"`
}

// aim is what a figure is meant to reach.
type aim struct {
	says string
	met  func(ours, ratio float64) bool
}

func atMost(limit float64, says string) aim {
	return aim{says, func(ours, _ float64) bool { return ours <= limit }}
}

func ratioAtMost(limit float64) aim {
	return aim{fmt.Sprintf("≤ %.2f×", limit), func(_, ratio float64) bool { return ratio <= limit }}
}

func ratioAtLeast(limit float64) aim {
	return aim{fmt.Sprintf("≥ %.2f×", limit), func(_, ratio float64) bool { return ratio >= limit }}
}

// add keeps a result. ours and theirs are one value a run; theirs may be nil.
func (b *bench) add(r Result, ours, theirs []float64, a aim) {
	r.Ours, r.Runs = median(ours), ours
	if len(theirs) > 0 {
		r.Theirs = median(theirs)
		if r.Theirs != 0 {
			r.Ratio = r.Ours / r.Theirs
		}
	}
	if a.met != nil {
		met := a.met(r.Ours, r.Ratio)
		r.Aim, r.Met = a.says, &met
	}
	b.results = append(b.results, r)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// report is what is written as JSON.
type report struct {
	Machine Machine   `json:"machine"`
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Runs    int       `json:"runs"`
	Results []Result  `json:"results"`
}

func (b *bench) report(asJSON bool) error {
	r := report{describe(b.cache), b.began.UTC().Round(time.Second), time.Since(b.began).Seconds(), b.runs, b.results}
	if !asJSON {
		r.table(b.out)
		return nil
	}
	out := json.NewEncoder(b.out)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

func (r report) table(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n%d interleaved runs, medians, %.0f s in all. ", r.Machine, r.Runs, r.Seconds)
	fmt.Fprint(w, "Trust the ratios; on a machine with other work the absolute figures are bounds.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tcase\tours\tpeer\ttheirs\tratio\taim\t")
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", x.Figure, x.Case, x.value(x.Ours), dash(x.Peer), theirs(x), ratio(x), verdict(x))
	}
	t.Flush()
}

func (r Result) value(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%s %s", thousands(int64(v+0.5)), r.Unit)
	case v >= 10:
		return fmt.Sprintf("%.1f %s", v, r.Unit)
	default:
		return fmt.Sprintf("%.3g %s", v, r.Unit)
	}
}

func theirs(r Result) string {
	if r.Theirs == 0 {
		return "–"
	}
	return r.value(r.Theirs)
}

func ratio(r Result) string {
	if r.Ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f×", r.Ratio)
}

func verdict(r Result) string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return r.Aim + " yes"
	default:
		return r.Aim + " NO"
	}
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
