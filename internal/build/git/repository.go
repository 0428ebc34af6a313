package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// repository is the bare repository of one app.
type repository struct {
	dir   string // absolute, without symlinks
	hooks string
	max   int64         // bytes of one push
	alloc int64         // bytes that git may allocate at once
	busy  chan struct{} // holds one token while a push or clean-up runs
	programs
}

// programs are the absolute paths of what runs.
type programs struct{ git, setpriv string }

func findPrograms() (programs, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return programs{}, fault.Wrap(fault.Unavailable, err, "git is not installed.")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		return programs{}, fault.Wrap(fault.Unavailable, err, "setpriv, of util-linux, is not installed.")
	}
	return programs{git, setpriv}, nil
}

// idPattern holds what names a directory: ids, never what a client sent.
var idPattern = pattern.New(`^[0-9a-zA-Z][0-9a-zA-Z-]{0,63}$`)

// objectPattern holds git's object names, SHA-1 and SHA-256.
var objectPattern = pattern.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// open returns the app's repository and makes it if it is not there.
func (h *Handler) open(ctx context.Context, app string) (*repository, error) {
	if !idPattern.MatchString(app) {
		return nil, fmt.Errorf("git: %q cannot name a repository", app)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := h.repositories[app]; ok {
		return r, nil
	}
	r := &repository{
		dir:      filepath.Join(h.root, app+".git"),
		hooks:    h.hooks,
		max:      h.config.MaxPush,
		alloc:    h.config.MaxObject,
		programs: h.programs,
		busy:     make(chan struct{}, 1),
	}
	if err := r.init(ctx); err != nil {
		return nil, err
	}
	h.repositories[app] = r
	return r, nil
}

func (r *repository) init(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, "HEAD")); err == nil {
		return nil
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	out, err := r.command(ctx, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", r.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("git init: %w: %s", err, out)
	}
	return nil
}

// command returns git with nothing of this process's environment and no
// configuration but ours: not the system's, not a user's. Git reads what
// strangers wrote, so it does not inherit the capability to bind low ports that
// this process may have.
func (r *repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.setpriv, append([]string{"--ambient-caps=-all", "--inh-caps=-all", r.git}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{
		"PATH=" + filepath.Dir(r.git) + ":/usr/bin:/bin",
		"HOME=/nonexistent", "LC_ALL=C",
		"GIT_DIR=" + r.dir,
		// A few bytes of deltas can describe a file of any size, which git
		// would make in memory.
		"GIT_ALLOC_LIMIT=" + strconv.FormatInt(r.alloc, 10),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
	}, configEnv(r.settings())...)
	// A group of its own, so that ending git ends what it started too; with
	// SIGTERM it removes its temporary files.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Minute // a slow client may still take what git has said
	return cmd
}

// sweep removes objects of pushes that were cut off by a crash. The caller
// holds the repository.
func (r *repository) sweep() error {
	left, err := filepath.Glob(filepath.Join(r.dir, "objects", "tmp_objdir-*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (r *repository) settings() [][2]string {
	return [][2]string{
		{"safe.directory", r.dir},
		{"core.hooksPath", r.hooks},
		{"core.bigFileThreshold", "16m"}, // larger files are streamed, not held in memory
		{"pack.threads", "1"},
		{"gc.autoDetach", "false"},
		{"tar.umask", "0022"},
		{"transfer.fsckObjects", "true"},
		// Old histories have these, and they do no harm.
		{"receive.fsck.badTimezone", "warn"},
		{"receive.fsck.missingSpaceBeforeDate", "warn"},
		{"receive.fsck.zeroPaddedFilemode", "warn"},
		{"receive.maxInputSize", strconv.FormatInt(r.max, 10)},
		{"receive.denyNonFastForwards", "false"},
		{"receive.autogc", "false"}, // tidy does it, after the push
		{"receive.advertisePushOptions", "false"},
	}
}

func configEnv(settings [][2]string) []string {
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings))}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	return env
}

// acquire waits a moment for whatever is at work in the repository.
func (r *repository) acquire(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r.busy <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (r *repository) release() { <-r.busy }

// prepare readies the repository for a push and returns its size. The caller
// holds it.
func (r *repository) prepare() (int64, error) {
	if err := r.sweep(); err != nil {
		return 0, err
	}
	return r.size()
}

// size is what the repository's files take.
func (r *repository) size() (int64, error) {
	var total int64
	err := filepath.WalkDir(r.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// ignoreMissing: git removes temporary files while they are counted.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// resolve returns what a ref points at, "" if it does not exist.
func (r *repository) resolve(ctx context.Context, ref string) (string, error) {
	out, err := r.command(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}

// archive streams the tree of a commit as tar.
func (r *repository) archive(ctx context.Context, commit, quarantine string) (io.ReadCloser, error) {
	if !objectPattern.MatchString(commit) {
		return nil, fault.New(fault.Invalid, "%q is not a git commit id.", commit)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := r.command(ctx, "archive", "--format=tar", commit)
	cmd.Env = append(cmd.Env, r.quarantined(quarantine)...)
	stderr := &tail{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("git archive: %w", err)
	}
	return &archiveReader{ReadCloser: stdout, cmd: cmd, cancel: cancel, stderr: stderr}, nil
}

// quarantined lets git see objects of a push that is not accepted yet.
func (r *repository) quarantined(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{"GIT_OBJECT_DIRECTORY=" + dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + filepath.Join(r.dir, "objects")}
}

// isCommit reports whether an object is there and is a commit.
func (r *repository) isCommit(ctx context.Context, object, quarantine string) bool {
	cmd := r.command(ctx, "cat-file", "-t", object)
	cmd.Env = append(cmd.Env, r.quarantined(quarantine)...)
	out, err := cmd.Output()
	return err == nil && strings.TrimSpace(string(out)) == "commit"
}

// archiveReader turns git's failure into an error at the end of the stream:
// without it a cut-off archive could pass for a whole one.
type archiveReader struct {
	io.ReadCloser
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr *tail
	done   bool
}

func (a *archiveReader) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && !a.done {
		a.done = true
		if werr := a.cmd.Wait(); werr != nil {
			return n, fmt.Errorf("git archive: %w: %s", werr, a.stderr)
		}
	}
	return n, err
}

func (a *archiveReader) Close() error {
	a.cancel()
	if !a.done {
		a.done = true
		_ = a.cmd.Wait() // ended by cancel; its status says nothing
	}
	return nil
}

// tail keeps the first kilobytes of what a command says, for the log.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[:min(len(p), 4096-len(t.b))]...)
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }
