package probe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// resolver is what a process in any space may reach: its own.
var resolver = netip.MustParseAddrPort("169.254.1.1:53")

// script tries each "number address port" on its input, many at once, since each
// takes the whole two seconds where nothing answers, and says of each whether it
// is open or closed: closed is what refuses (1) or stays silent (124).
const script = `n=0
while read -r number address port; do
  {
    timeout 2 bash -c "exec 3<>/dev/tcp/$address/$port"
    case $? in 0) echo "$number open";; 1|124) echo "$number closed";; *) echo "$number failed";; esac
  } 2>/dev/null &
  n=$((n+1)); if [ $((n%16)) = 0 ]; then wait; fi
done
wait`

// atOnce is how many the script tries at once, and turn how long they may take.
const (
	atOnce = 16
	turn   = 3 * time.Second
)

// Try tries to connect to each address from one container in a space, and tells
// which it reached. It fails as unavailable if it could not reach what it may.
func Try(ctx context.Context, d driver.Driver, from, image string, to []netip.AddrPort) (open []bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+turn*time.Duration(len(to)/atOnce+1))
	defer cancel()
	session, err := d.StartTask(ctx, driver.Task{
		ID: document.NewID(), Space: from, Name: "probe.1", Attach: true, Timeout: time.Hour,
		Labels: driver.Labels{Source: "heroku", Type: "probe"},
		Process: driver.Process{
			Image: image, Args: []string{"/bin/bash", "-c", script}, UID: 1000, Dir: "/tmp", ReadOnly: true,
			Env:    []driver.EnvVar{{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}},
			Limits: driver.Limits{MemoryBytes: 64 << 20, CPUMillis: 200, PIDs: 64},
		},
	})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	all := append([]netip.AddrPort{resolver}, to...)
	var in bytes.Buffer
	for i, a := range all {
		fmt.Fprintf(&in, "%d %s %d\n", i, a.Addr(), a.Port())
	}
	if _, err := io.Copy(session, &in); err != nil {
		return nil, err
	}
	if err := session.CloseWrite(); err != nil {
		return nil, err
	}
	if open, err = answers(session, len(all)); err != nil {
		return nil, err
	}
	if !open[0] {
		return nil, fault.New(fault.Unavailable, "The attempts proved nothing: the process could not even reach its own resolver.")
	}
	return open[1:], nil
}

// answers reads what the script says of n addresses. It must say something of
// each: one that was not tried was not refused.
func answers(r io.Reader, n int) ([]bool, error) {
	open, said := make([]bool, n), make([]bool, n)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var i int
		var answer string
		_, err := fmt.Sscan(lines.Text(), &i, &answer)
		if err != nil || i < 0 || i >= n || said[i] || answer != "open" && answer != "closed" {
			return nil, fault.New(fault.Unavailable, "The attempts proved nothing: the process said %.100q.", lines.Text())
		}
		open[i], said[i] = answer == "open", true
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(said, false) {
		return nil, fault.New(fault.Unavailable, "The attempts proved nothing: the process ended before it had made them.")
	}
	return open, nil
}
