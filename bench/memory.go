package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rest is how long nothing is asked of the installation before it is looked at:
// the runtimes give memory back that they do not use.
const rest = 60 * time.Second

// memoryFigure adds up what the platform's own processes have in memory, pages
// that they share divided among them (PSS). The peer is containerd alone, which
// anything that runs containers this way needs.
func memoryFigure(ctx context.Context, b *bench) error {
	s, err := b.site(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return ctx.Err()
	}
	parts, err := s.memory()
	if err != nil {
		return err
	}
	total := 0.0
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != shims {
			total += parts[name]
		}
		b.add(Result{Figure: "memory", Case: name, Unit: "MB"}, []float64{parts[name]}, nil, aim{})
	}
	b.add(Result{Figure: "memory", Case: "all but the shims", Unit: "MB", Peer: "containerd alone"},
		[]float64{total}, []float64{parts["containerd"]}, atMost(100, "≤ 100 MB"))
	return nil
}

// shims belong to the apps and databases: one holds each container.
const shims = "shims, one a container"

// memory is the PSS of each part, in MB.
func (s *site) memory() (map[string]float64, error) {
	out := map[string]float64{}
	all, err := s.processes()
	for pid, name := range all {
		mb, err := pss(filepath.Join("/proc", pid))
		if err != nil {
			return nil, err
		}
		out[name] += mb
	}
	return out, err
}

// processes of the installation outside of containers, by pid: which part each is.
func (s *site) processes() (map[string]string, error) {
	out := map[string]string{}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		if name := s.part(strings.Split(string(raw), "\x00")); name != "" {
			out[filepath.Base(filepath.Dir(path))] = name
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no process of the installation %s was found", siteName)
	}
	return out, nil
}

// part is what a process of the installation is, "" if it is not one.
func (s *site) part(args []string) string {
	switch {
	case args[0] == filepath.Join(s.data, "bin/strongroom") && len(args) > 1:
		if args[1] == "router" {
			return "routers, one a space"
		}
		return args[1]
	case filepath.Base(args[0]) == "containerd" && strings.HasPrefix(args[len(args)-2], s.data):
		return "containerd"
	case strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") && strings.Contains(strings.Join(args, " "), s.run+"/"):
		return shims
	}
	return ""
}

func pss(process string) (mb float64, err error) {
	raw, err := os.ReadFile(filepath.Join(process, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			_, err := fmt.Sscan(kb, &mb)
			return mb / 1024, err
		}
	}
	return 0, fmt.Errorf("%s: no Pss", process)
}
