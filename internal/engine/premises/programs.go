package premises

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
)

// programs compares what the platform's processes run with the program that is
// installed. Those of containerd are the host's packages.
func (p *Premises) programs(_ context.Context, s *driver.Survey) error {
	installed, err := digestOf(p.cfg.Program)
	if errors.Is(err, fs.ErrNotExist) {
		s.Found("", "program", "The program %s is not there any more.", p.cfg.Program)
	} else if err != nil {
		return err
	}
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	known := seen{}
	for _, pid := range pids {
		exe, err := os.Readlink(exeOf(pid))
		if err != nil {
			continue // it has ended, is the kernel's, or is told of as one that may not be looked into
		}
		if strings.TrimSuffix(exe, " (deleted)") != p.cfg.Program {
			if p.ours(pid) {
				s.Found("", "process", "The process %s has the place and the user of one of the platform's and runs another program.", procfs.Describe(pid))
			}
			continue
		}
		running, err := known.digest(pid)
		if err != nil {
			if procfs.Gone(err) {
				continue
			}
			return err
		}
		s.Look("", "processes of the platform", 1)
		if running != installed {
			s.Found("", "process", "The process %s does not run the program that is in %s now.", procfs.Describe(pid), p.cfg.Program)
		}
	}
	s.Look("", "programs", 1)
	return nil
}

// ours tells whether a process is where the engine puts the unprivileged ones
// that it starts outside of containers: all of them are this program.
func (p *Premises) ours(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	uid := procfs.Status(pid, "Uid")
	return err == nil && len(uid) > 0 && uid[0] != "0" && strings.Contains(string(b), ":"+p.cfg.Cgroup+"\n")
}

// seen are digests of programs that run: most run the same file, which is read
// once. It is opened through the process: another may be in its place.
type seen map[unix.Stat_t]string

func (x seen) digest(pid int) (string, error) {
	var s unix.Stat_t
	if err := unix.Stat(exeOf(pid), &s); err != nil {
		return "", err
	}
	id := unix.Stat_t{Dev: s.Dev, Ino: s.Ino}
	if d, ok := x[id]; ok {
		return d, nil
	}
	d, err := digestOf(exeOf(pid))
	x[id] = d
	return d, err
}

func exeOf(pid int) string { return fmt.Sprintf("/proc/%d/exe", pid) }

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return string(sum.Sum(nil)), err
}
