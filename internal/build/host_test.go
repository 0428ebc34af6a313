package build

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
)

// hostEngine runs tasks as plain processes over directories, so that the
// runner script and buildpacks run for real without a container. It isolates
// nothing.
type hostEngine struct {
	driver.Driver // what builds do not use
	t             *testing.T
	root          string

	mu        sync.Mutex
	running   map[string]*hostSession
	tasks     []driver.Task
	volumes   map[string]string // to their spaces
	locked    map[string]bool
	destroyed []string
	images    [][]byte
	used      int64 // of 1000 bytes, of every volume
}

func newHostEngine(t *testing.T) *hostEngine {
	return &hostEngine{t: t, root: t.TempDir(), running: map[string]*hostSession{}, volumes: map[string]string{}, locked: map[string]bool{}}
}

func (e *hostEngine) dir(volume, dir string) string { return filepath.Join(e.root, volume, dir) }

func (e *hostEngine) EnsureVolume(_ context.Context, v driver.Volume) error {
	if err := v.Validate(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes[v.ID] = v.Space
	return os.MkdirAll(e.dir(v.ID, ""), 0o755)
}

func (e *hostEngine) LockVolume(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.locked[id] = true
	return nil
}

func (e *hostEngine) DestroyVolume(_ context.Context, id string) (driver.Disposal, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.running {
		select {
		case <-s.done:
		default:
			return driver.Disposal{}, fault.New(fault.Conflict, "busy")
		}
	}
	e.destroyed = append(e.destroyed, id)
	delete(e.volumes, id)
	return driver.Disposal{}, os.RemoveAll(e.dir(id, ""))
}

func (e *hostEngine) PutFiles(_ context.Context, volume, dir string, archive io.Reader) error {
	if err := driver.CheckDir(dir); err != nil {
		return err
	}
	in := tar.NewReader(archive)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Uid != UID {
			e.t.Errorf("%s is put with owner %d", h.Name, h.Uid)
		}
		name := filepath.Join(e.dir(volume, dir), h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		default:
			var raw []byte
			if raw, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(name, raw, os.FileMode(h.Mode))
			}
		}
		if err != nil {
			return err
		}
	}
}

func (e *hostEngine) GetFiles(_ context.Context, volume, dir string) (io.ReadCloser, error) {
	root := e.dir(volume, dir)
	if _, err := os.Stat(root); err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "No such directory.")
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(packDir(w, root)) }()
	return r, nil
}

func packDir(w io.Writer, root string) error {
	tw := tar.NewWriter(w)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		if h.Name, err = filepath.Rel(root, p); err != nil {
			return err
		}
		if err := tw.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(tw, f)
		return err
	})
	return errors.Join(err, tw.Close())
}

func (e *hostEngine) ImportImage(_ context.Context, archive io.Reader) (string, error) {
	raw, err := io.ReadAll(archive)
	if err != nil {
		return "", err
	}
	name := filepath.Join(e.t.TempDir(), "image.tar")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		return "", err
	}
	info, err := image.ReadInfo(name)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images = append(e.images, raw)
	return info.Digest, err
}

func (e *hostEngine) StartTask(_ context.Context, task driver.Task) (driver.Session, error) {
	if err := task.Validate(); err != nil {
		return nil, err
	}
	var pairs []string
	for _, m := range task.Process.Mounts {
		pairs = append(pairs, m.Path, e.dir(m.Volume, m.Dir))
	}
	inside := strings.NewReplacer(pairs...)
	cmd := exec.Command(task.Process.Args[0], inside.Replace(task.Process.Args[1]))
	for _, v := range task.Process.Env {
		if v.Name == "PATH" {
			v.Value = os.Getenv("PATH")
		} else {
			v.Value = inside.Replace(v.Value)
		}
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	s := &hostSession{File: r, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running[task.ID] = s
	e.tasks = append(e.tasks, task)
	return s, nil
}

func (e *hostEngine) StopTask(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.running[id]; s != nil {
		return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	}
	return nil
}

func (e *hostEngine) Observe(context.Context) (driver.Observation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var o driver.Observation
	for _, task := range e.tasks {
		running := true
		select {
		case <-e.running[task.ID].done:
			running = false
		default:
		}
		o.Tasks = append(o.Tasks, driver.ObservedTask{ID: task.ID, Space: task.Space, Running: running})
	}
	for id, space := range e.volumes {
		o.Volumes = append(o.Volumes, driver.ObservedVolume{ID: id, Space: space, Unlocked: !e.locked[id], Bytes: 1000, Used: e.used})
	}
	return o, nil
}

type hostSession struct {
	*os.File
	cmd  *exec.Cmd
	done chan struct{}
}

func (s *hostSession) CloseWrite() error           { return nil }
func (s *hostSession) Resize(_, _ int) error       { return nil }
func (s *hostSession) Write(p []byte) (int, error) { return len(p), nil }

func (s *hostSession) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.done:
		return driver.Exit{Code: s.cmd.ProcessState.ExitCode()}, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

// workshop is a Builder over a hostEngine, with a buildpack "shell" that runs
// the app's build.sh.
type workshop struct {
	*Builder
	engine *hostEngine
	public ed25519.PublicKey
}

func newWorkshop(t *testing.T, change func(*Config)) workshop {
	t.Helper()
	e := newHostEngine(t)
	base := filepath.Join(t.TempDir(), "base.tar")
	if err := os.WriteFile(base, drivertest.Layout(t, []byte("a program")), 0o600); err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		WorkDir: t.TempDir(), BaseArchive: base, BuildImage: "sha256:" + strings.Repeat("b", 64), BuildpackDir: t.TempDir(),
		Key: key, BuilderID: "https://strongroom.example/builder", Timeout: 30 * time.Second, MaxSource: 1 << 20, MaxSlug: 1 << 20, MaxFiles: 100,
	}
	writeFiles(t, filepath.Join(c.BuildpackDir, "shell"), map[string]string{
		"bin/detect":  "#!/bin/bash\n[[ -f $1/build.sh ]] && echo Shell\n",
		"bin/compile": "#!/bin/bash\ncd $1 && APP=$1 CACHE=$2 ENV=$3 bash ./build.sh\n",
		"bin/release": "#!/bin/bash\nprintf -- '---\\nconfig_vars:\\n  FROM_PACK: \"yes\"\\ndefault_process_types:\\n  web: ./serve\\n  worker: ./work\\n'\n",
	})
	if change != nil {
		change(&c)
	}
	b, err := New(e, c)
	if err != nil {
		t.Fatal(err)
	}
	return workshop{b, e, public}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// source packs files as git archive does.
func source(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, files)
	var b bytes.Buffer
	if err := packDir(&b, dir); err != nil {
		t.Fatal(err)
	}
	return &b
}

func input(src io.Reader) Input {
	return Input{
		BuildID: uuid.NewString(), App: "0198c0de-0000-7000-8000-000000000001", AppName: "intake",
		Space: "0198c0de-0000-4000-8000-000000000002", Commit: strings.Repeat("c", 40), Source: src, Buildpacks: []string{"shell"},
	}
}
