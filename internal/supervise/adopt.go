package supervise

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// running finds the process that answers for the Spec, whether or not it fits
// it. The error says why there is none.
func running(ctx context.Context, spec Spec) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	if spec.Probe != nil {
		return probed(ctx, spec)
	}
	if spec.Control == "" {
		return nil, fmt.Errorf("no way to ask for %s", spec.Name)
	}
	who, err := call(ctx, spec.Control)
	if err != nil {
		return nil, err
	}
	defer who.close()
	id, err := who.ask()
	if err != nil {
		return nil, err
	}
	if id.Name != spec.Name || int(who.cred.Uid) != spec.UID {
		return nil, fmt.Errorf("the control socket of %s is held by %q of uid %d", spec.Name, id.Name, who.cred.Uid)
	}
	p, err := adopt(int(who.cred.Pid), func() error { _, err := who.ask(); return err })
	if err != nil {
		return nil, err
	}
	p.build = id.Build
	return p, nil
}

func probed(ctx context.Context, spec Spec) (*process, error) {
	pid, err := spec.Probe(ctx)
	if err != nil {
		return nil, err
	}
	return adopt(pid, func() error {
		again, err := spec.Probe(ctx)
		if err == nil && again != pid {
			err = fmt.Errorf("%s answered as %d, then as %d", spec.Name, pid, again)
		}
		return err
	})
}

// adopt takes a process that is not our child. The pid may have passed to
// another process before the pidfd was there: only if the one who said it is
// alive afterwards does the pidfd mean it.
func adopt(pid int, alive func() error) (*process, error) {
	if pid <= 1 || pid == os.Getpid() {
		return nil, fmt.Errorf("process %d cannot be a child", pid)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	if err := alive(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	p, err := watch(pid, fd, nil)
	if err != nil {
		return nil, err
	}
	p.adopted = true
	p.since = time.Now()
	return p, nil
}

// unfit says why the running process is not what the Spec asks for; "" if it is.
func unfit(p *process, spec Spec) string {
	proc := "/proc/" + strconv.Itoa(p.pid)
	args, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return err.Error()
	}
	if spec.Probe == nil && spec.Build != "" && p.build != spec.Build {
		return "another build"
	}
	if !slices.Equal(strings.Split(string(bytes.TrimSuffix(args, []byte{0})), "\x00"), spec.Args) {
		return "other arguments"
	}
	ns := spec.NetNS
	if ns == "" {
		ns = "/proc/self/ns/net"
	}
	want, err := os.Stat(ns)
	if err != nil {
		return err.Error()
	}
	have, err := os.Stat(proc + "/ns/net")
	if err != nil {
		return err.Error()
	}
	if !os.SameFile(want, have) {
		return "another network namespace"
	}
	return ""
}
