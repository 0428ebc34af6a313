package git

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// Handler serves the repositories. Close it after the HTTP server is down.
type Handler struct {
	config Config
	gate   Gate
	deploy Deployer
	root   string // Config.Root without symlinks
	hooks  string
	pushes slots
	reads  slots // fetches, and the lists of refs that any request begins with
	programs
	// patience is how long a push waits for another, or for a clean-up.
	patience time.Duration

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	after  sync.WaitGroup // clean-ups under way

	mu           sync.Mutex
	repositories map[string]*repository // by app id
}

// New returns a Handler over the repositories in c.Root.
func New(c Config, gate Gate, deploy Deployer) (*Handler, error) {
	c.defaults()
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Root, 0o700); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(c.Root)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	hooks, err := writeHooks(root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Handler{
		config: c, gate: gate, deploy: deploy, programs: programs, root: root, hooks: hooks,
		pushes: make(slots, c.MaxConcurrent), reads: make(slots, c.MaxConcurrent), patience: 10 * time.Second, ctx: ctx, cancel: cancel,
		repositories: map[string]*repository{},
	}, nil
}

// Close ends deploys that are still under way and waits for clean-ups.
func (h *Handler) Close() error {
	h.cancel()
	h.after.Wait()
	return nil
}

// Remove deletes an app's repository. It waits for a push under way to end.
func (h *Handler) Remove(ctx context.Context, app string) error {
	r, err := h.open(ctx, app)
	if err != nil {
		return err
	}
	select {
	case r.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer r.release()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.repositories, app)
	return os.RemoveAll(r.dir)
}

// requestPattern holds the only paths there are: no dumb protocol, no files.
var requestPattern = pattern.New(`^/([a-z][a-z0-9-]{1,62})\.git/(info/refs|git-receive-pack|git-upload-pack)$`)

// ServeHTTP answers requests below /<app>.git/.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := requestPattern.FindStringSubmatch(r.URL.Path)
	if match == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	service := match[2]
	if service == "info/refs" {
		service = r.URL.Query().Get("service")
	}
	if problem, status := misuse(r, match[2], service); problem != "" {
		http.Error(w, problem, status)
		return
	}
	repo, err := h.gate.Authorize(r, match[1], service == "git-receive-pack")
	if err != nil {
		h.deny(w, r, err)
		return
	}
	repository, err := h.open(r.Context(), repo.App)
	if err != nil {
		h.deny(w, r, err)
		return
	}
	switch {
	case match[2] == "info/refs":
		h.advertise(w, r, repository, service)
	case service == "git-receive-pack":
		h.receive(w, r, repo, repository)
	default:
		h.upload(w, r, repository)
	}
}

// misuse says what is wrong with the form of a request, if anything. The
// content type matters: a page of another site cannot send it.
func misuse(r *http.Request, path, service string) (string, int) {
	switch {
	case service != "git-receive-pack" && service != "git-upload-pack":
		return "This server speaks git's smart HTTP protocol only.", http.StatusForbidden
	case path == "info/refs" && r.Method != http.MethodGet, path != "info/refs" && r.Method != http.MethodPost:
		return "Method not allowed.", http.StatusMethodNotAllowed
	case path != "info/refs" && r.Header.Get("Content-Type") != "application/x-"+service+"-request":
		return "Unsupported content type.", http.StatusUnsupportedMediaType
	}
	return "", 0
}

// deny answers an error. git shows a plain text body as "remote: …".
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, err error) {
	status, known := map[fault.Kind]int{
		fault.Unauthenticated: http.StatusUnauthorized,
		fault.Forbidden:       http.StatusForbidden,
		fault.NotFound:        http.StatusNotFound,
		fault.TooMany:         http.StatusTooManyRequests,
		fault.Conflict:        http.StatusConflict,
		fault.Invalid:         http.StatusBadRequest,
		fault.Unavailable:     http.StatusServiceUnavailable,
	}[fault.Of(err)]
	message := fault.Message(err)
	if !known {
		status, message = http.StatusInternalServerError, "Something went wrong on the server; its operators find it in the log."
		h.config.Log.ErrorContext(r.Context(), "git request failed", "path", r.URL.Path, "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Strongroom", charset="UTF-8"`)
	}
	http.Error(w, message, status)
}

// advertise answers the first request of a fetch or push: the refs.
func (h *Handler) advertise(w http.ResponseWriter, r *http.Request, repo *repository, service string) {
	if !h.reads.take(r.Context(), h.patience) {
		http.Error(w, tooMany, http.StatusServiceUnavailable)
		return
	}
	cmd := repo.command(r.Context(), strings.TrimPrefix(service, "git-"), "--stateless-rpc", "--advertise-refs", repo.dir)
	v2 := setProtocol(cmd, r, service)
	out, err := cmd.Output()
	h.reads.release() // the client may take its time
	if err != nil {
		h.deny(w, r, fmt.Errorf("advertise refs: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	if !v2 {
		fmt.Fprintf(w, "%s0000", packet("# service="+service+"\n"))
	}
	_, _ = w.Write(out) // a client that went away is no fault of ours
}

// setProtocol passes on a client's wish for protocol 2, which exists for
// fetching only. Nothing else of the header reaches git.
func setProtocol(cmd *exec.Cmd, r *http.Request, service string) bool {
	if service != "git-upload-pack" {
		return false
	}
	for part := range strings.SplitSeq(r.Header.Get("Git-Protocol"), ":") {
		if part == "version=2" {
			cmd.Env = append(cmd.Env, "GIT_PROTOCOL=version=2")
			return true
		}
	}
	return false
}

// packet frames a string as a pkt-line.
func packet(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

// slots are places for git processes.
type slots chan struct{}

// take waits for a place, for so long.
func (s slots) take(ctx context.Context, patience time.Duration) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-time.After(patience):
	case <-ctx.Done():
	}
	return false
}

func (s slots) release() { <-s }

const tooMany = "Too many git requests at once. Try again in a moment."
