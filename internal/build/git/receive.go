package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// drainFactor is how many times the bound a refused push may go on sending
// before it is cut off without an answer that git would show.
const drainFactor = 16

// receive serves a push. From the moment the request has arrived whole it no
// longer depends on the client.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, repo Repo, repository *repository) {
	// Answering while the client still sends is what git expects.
	_ = http.NewResponseController(w).EnableFullDuplex()
	in, err := newBody(w, r, h.config.MaxPush, h.config.IdleTimeout)
	if err != nil {
		http.Error(w, "The request's compression is broken.", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	refuse := func(message string) {
		in.drain(h.config.MaxPush * drainFactor)
		// A message, then a fatal error: what git shows whatever was pushed.
		fmt.Fprintf(w, "%s%s0000", packet("\x02"+message+"\n"), packet("\x03the push was refused\n"))
	}
	if !h.pushes.take(r.Context(), h.patience) {
		refuse(tooMany)
		return
	}
	defer h.pushes.release()
	if !repository.acquire(r.Context(), h.patience) {
		refuse("Another push to " + repo.Name + " is being deployed. Wait for it to end and push again.")
		return
	}
	defer repository.release()
	switch size, err := repository.prepare(); {
	case err != nil:
		h.config.Log.ErrorContext(r.Context(), "git repository", "app", repo.App, "error", err)
		refuse("Something went wrong on the server; its operators find it in the log.")
		return
	case size > h.config.MaxRepository:
		refuse(fmt.Sprintf("The repository of %s takes %s, over its bound of %s. Ask the platform's operators.",
			repo.Name, mebibytes(size), mebibytes(h.config.MaxRepository)))
		return
	}
	err = h.runReceive(w, in, repo, repository)
	if err != nil {
		// git that is cut off may leave what it had received so far.
		err = errors.Join(err, repository.sweep())
	}
	if errors.Is(err, errTooLarge) {
		refuse(fmt.Sprintf("This push is larger than %s, the most that the platform takes. Remove large files from the history, or keep them in a store of their own.",
			mebibytes(h.config.MaxPush)))
	} else if errors.Is(err, errTooLong) {
		refuse(fmt.Sprintf("This push takes longer than %v to unpack: it holds far more than was sent. Nothing of it was kept.", h.config.UnpackTimeout))
	} else if err != nil {
		h.config.Log.WarnContext(r.Context(), "git receive-pack", "app", repo.App, "error", err)
	}
	h.after.Go(func() { h.tidy(repository) })
}

func mebibytes(n int64) string { return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20)) }

// runReceive runs git over the request. Its error is errTooLarge or errTooLong
// if git was given up before it could answer; every other answer is git's own.
func (h *Handler) runReceive(w http.ResponseWriter, in *body, repo Repo, repository *repository) error {
	ctx, cancel := context.WithCancelCause(h.ctx)
	defer cancel(nil)
	pipes, err := newHookPipes()
	if err != nil {
		return err
	}
	defer pipes.close()
	cmd := repository.command(ctx, "receive-pack", "--stateless-rpc", repository.dir)
	cmd.ExtraFiles = pipes.inherited[:]
	stderr := &tail{}
	cmd.Stderr = stderr
	cmd.Stdout = &lasting{w: &flusher{w: w, rc: http.NewResponseController(w), idle: h.config.IdleTimeout}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	pipes.closeInherited()

	var work sync.WaitGroup
	var arrived atomic.Bool // git has all objects: the client is no longer needed
	unpacking := newStint(h.config.UnpackTimeout, func() { cancel(errTooLong) })
	defer unpacking.end()
	work.Go(func() {
		if err := feed(stdin, in, unpacking); err != nil && !arrived.Load() {
			cancel(err) // cut off by the client or by the bound: nothing of it may count
		}
	})
	work.Go(func() { h.decide(ctx, pipes, &arrived, unpacking, repo, repository) })
	err = cmd.Wait()
	work.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, stderr)
	}
	return nil
}

// feed copies the request to git. Git may end before it has read everything:
// then the rest is read all the same, so that the client gets the answer.
func feed(stdin io.WriteCloser, in *body, unpacking *stint) error {
	// git reads on while it works: time counts while it does not.
	_, err := io.Copy(&lasting{w: writer(func(p []byte) (int, error) {
		unpacking.begin()
		defer unpacking.pause()
		return stdin.Write(p)
	})}, in)
	if err == nil {
		unpacking.begin()
		stdin.Close()
	}
	return err
}

type writer func(p []byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

// lasting is a writer that never fails: what its target no longer takes is
// dropped.
type lasting struct {
	w    io.Writer
	gone bool
}

func (l *lasting) Write(p []byte) (int, error) {
	if !l.gone {
		_, err := l.w.Write(p)
		l.gone = err != nil
	}
	return len(p), nil
}

// hookPipes are the pipes between the server and the pre-receive hook.
type hookPipes struct {
	inherited [3]*os.File // fd 3, 4, 5 of git and its hook
	updates   *os.File
	output    *os.File
	verdict   *os.File
}

func newHookPipes() (p *hookPipes, err error) {
	p = &hookPipes{}
	if p.updates, p.inherited[0], err = os.Pipe(); err != nil {
		return nil, err
	}
	if p.inherited[1], p.output, err = os.Pipe(); err != nil {
		p.close()
		return nil, err
	}
	if p.inherited[2], p.verdict, err = os.Pipe(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// closeInherited lets the ends that git holds be the only ones, so that the
// server sees when it ends.
func (p *hookPipes) closeInherited() {
	for _, f := range p.inherited {
		f.Close() // closing twice, or nil, is harmless
	}
}

func (p *hookPipes) close() {
	p.closeInherited()
	p.updates.Close()
	p.output.Close()
	p.verdict.Close()
}

// decide waits for the hook and answers it.
func (h *Handler) decide(ctx context.Context, pipes *hookPipes, arrived *atomic.Bool, unpacking *stint, repo Repo, repository *repository) {
	// Both are closed in every case: the hook waits for their ends.
	defer pipes.verdict.Close()
	defer pipes.output.Close()
	p, err := readProposal(pipes.updates, filepath.Join(repository.dir, "objects"))
	if errors.Is(err, io.EOF) {
		return // git found nothing to accept
	}
	arrived.Store(true)
	unpacking.end()
	out := &lasting{w: pipes.output}
	if err == nil {
		err = h.consider(ctx, p, repo, repository, out)
	}
	if err != nil {
		h.explain(ctx, err, repo, out)
		return
	}
	_, _ = io.WriteString(pipes.verdict, "accept\n") // git that is gone accepts nothing
}

// consider accepts the push with nil.
func (h *Handler) consider(ctx context.Context, p proposal, repo Repo, repository *repository, out io.Writer) error {
	deploy, notes, refusal := judge(p.updates)
	if refusal != "" {
		return fault.New(fault.Invalid, "%s", refusal)
	}
	for _, n := range notes {
		fmt.Fprintf(out, "-----> %s\n", n)
	}
	if deploy == nil {
		return nil
	}
	// Git compares with the ref only after this hook: a push that lost the
	// race must not have deployed by then.
	at, err := repository.resolve(ctx, deploy.ref)
	if err != nil {
		return err
	}
	if (at == "") != deploy.creates() || (at != "" && at != deploy.old) {
		return fault.New(fault.Conflict, "%s has moved since this push began. Fetch and push again.", shortRef(deploy.ref))
	}
	if !repository.isCommit(ctx, deploy.new, p.quarantine) {
		return fault.New(fault.Invalid, "%s is not a commit; only commits deploy.", deploy.new)
	}
	ctx, cancel := context.WithTimeout(ctx, h.config.DeployTimeout)
	defer cancel()
	push := Push{Repo: repo, Ref: deploy.ref, Old: at, Commit: deploy.new, repository: repository, quarantine: p.quarantine}
	if err := h.deploy.Deploy(ctx, push, out); err != nil {
		return err
	}
	// What is cloned without naming a branch is what is deployed.
	if out, err := repository.command(ctx, "symbolic-ref", "HEAD", deploy.ref).CombinedOutput(); err != nil {
		h.config.Log.WarnContext(ctx, "git symbolic-ref", "app", repo.App, "error", err, "output", string(out))
	}
	return nil
}

// explain shows the pusher why the push is refused.
func (h *Handler) explain(ctx context.Context, err error, repo Repo, out io.Writer) {
	message := fault.Message(err)
	if message == "" {
		message = "The deploy failed for a reason that is not yours; the platform's operators find it in the log."
		h.config.Log.ErrorContext(ctx, "git push failed", "app", repo.App, "error", err)
	}
	fmt.Fprintf(out, "\n !     %s\n !     Push rejected.\n\n", message)
}

// tidy packs the repository when there is enough to pack.
func (h *Handler) tidy(r *repository) {
	ctx, cancel := context.WithTimeout(h.ctx, 5*time.Minute)
	defer cancel()
	if !r.acquire(ctx, time.Minute) {
		return // a push is under way; the next one tidies
	}
	defer r.release()
	out, err := r.command(ctx, "gc", "--auto", "--quiet").CombinedOutput()
	var exit *exec.ExitError
	if err != nil && ctx.Err() == nil && errors.As(err, &exit) {
		h.config.Log.Warn("git gc", "dir", r.dir, "error", err, "output", string(out))
	}
}

// Archive streams the tree of the pushed commit as tar, while Deploy runs.
func (p Push) Archive(ctx context.Context) (io.ReadCloser, error) {
	return p.repository.archive(ctx, p.Commit, p.quarantine)
}

// Archive streams the tree of a commit that was pushed before as tar.
func (h *Handler) Archive(ctx context.Context, app, commit string) (io.ReadCloser, error) {
	r, err := h.open(ctx, app)
	if err != nil {
		return nil, err
	}
	return r.archive(ctx, commit, "")
}
