package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// launch starts the child. files follow the Spec's own from fd 3 on.
func launch(spec Spec, group *cgroup, files []*os.File) (*process, error) {
	if err := prepareControl(spec); err != nil {
		return nil, err
	}
	output, err := openOutput(spec.Output, spec.OutputMax)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	all := append([]*os.File{null, output, output}, spec.Files...)
	return forkInside(spec, group, append(all, files...))
}

// prepareControl makes the control socket's directory if there is none.
func prepareControl(spec Spec) error {
	if spec.Control == "" {
		return nil
	}
	dir := filepath.Dir(spec.Control)
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, spec.UID, spec.GID)
}

// forkInside starts the program from a thread that was first brought into the
// child's namespace, cgroup, umask and no-new-privileges state. All of these
// are a thread's own in Linux and inherited by what it forks, so the child is
// never outside them, not even before execve.
func forkInside(spec Spec, group *cgroup, files []*os.File) (p *process, err error) {
	onSpoiledThread(func() { p, err = forkHere(spec, group, files) })
	return p, err
}

// onSpoiledThread calls f on a thread that ends with it.
func onSpoiledThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: that is what makes the runtime end the thread.
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end; it would keep the namespace and the
			// cgroup. While it is locked here, f gets another one.
			onSpoiledThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

func forkHere(spec Spec, group *cgroup, files []*os.File) (*process, error) {
	if err := enter(spec); err != nil {
		return nil, err
	}
	sys := &syscall.SysProcAttr{Setsid: true, AmbientCaps: spec.AmbientCaps}
	pidfd := -1
	sys.PidFD = &pidfd
	if spec.UID != os.Geteuid() || spec.GID != os.Getegid() {
		sys.Credential = &syscall.Credential{Uid: uint32(spec.UID), Gid: uint32(spec.GID), Groups: groups(spec)}
	}
	closeGroup, err := group.enter(sys)
	if err != nil {
		return nil, err
	}
	defer closeGroup()
	proc, err := os.StartProcess(spec.Args[0], spec.Args, &os.ProcAttr{
		Dir: spec.Dir, Env: append([]string{}, spec.Env...), Files: files, Sys: sys,
	})
	if err != nil {
		return nil, err
	}
	if pidfd < 0 {
		return nil, errors.Join(errors.New("the kernel gives no pidfd (5.4 or newer is needed)"), proc.Kill())
	}
	return watch(proc.Pid, pidfd, func() string {
		state, err := proc.Wait()
		if err != nil {
			return err.Error()
		}
		return state.String()
	})
}

// enter brings the calling thread into the state that the child inherits.
func enter(spec Spec) error {
	// The umask belongs to the thread only after this.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	unix.Umask(spec.Umask)
	if spec.NetNS != "" {
		ns, err := os.Open(spec.NetNS)
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", spec.NetNS, err)
		}
	}
	if spec.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no-new-privileges: %w", err)
		}
	}
	return nil
}

func groups(spec Spec) []uint32 {
	out := make([]uint32, 0, len(spec.Groups))
	for _, g := range spec.Groups {
		out = append(out, uint32(g))
	}
	return out
}
