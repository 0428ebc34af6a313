//go:build integration

package volume

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

const size = 16 * mebi

type rig struct {
	*Pool
	t   *testing.T
	cfg Config
	log bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	r := &rig{t: t, cfg: Config{Dir: filepath.Join(t.TempDir(), "pool")}}
	r.open()
	t.Cleanup(func() {
		all, err := r.Observe(context.Background())
		if err != nil {
			t.Error(err)
		}
		for _, v := range all {
			if _, err := r.Destroy(context.Background(), v.ID); err != nil {
				t.Errorf("destroy %s: %v", v.ID, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		r.nothingLeft()
	})
	return r
}

func (r *rig) open() {
	r.t.Helper()
	p, err := Open(r.cfg, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	p.patience = 400 * time.Millisecond
	r.Pool = p
}

func (r *rig) nothingLeft() {
	r.t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		r.t.Fatal(err)
	}
	if strings.Contains(string(info), r.cfg.Dir) {
		r.t.Errorf("mounts are left:\n%s", info)
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range loops {
		if b, _ := os.ReadFile(file); strings.Contains(string(b), r.cfg.Dir) {
			r.t.Errorf("%s still holds %s", file, b)
		}
	}
	for _, dir := range []string{"volumes", "mnt"} {
		entries, err := os.ReadDir(filepath.Join(r.cfg.Dir, dir))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range entries {
			r.t.Errorf("%s/%s is left", dir, e.Name())
		}
	}
}

func newKey(t *testing.T) []byte {
	t.Helper()
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	return key
}

func (r *rig) ensure(id string, key []byte) string {
	r.t.Helper()
	path, err := r.Ensure(r.t.Context(), id, key, size, 1234, 5678)
	if err != nil {
		r.t.Fatal(err)
	}
	return path
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, name, text string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	} else if string(b) != text {
		t.Errorf("%s holds %q, want %q", name, b, text)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if fault.Of(err) != kind {
		t.Errorf("error %v, want %s", err, kind)
	}
}

func (r *rig) wantUnlocked(id string, want bool) State {
	r.t.Helper()
	all, err := r.Observe(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == id {
			if s.Unlocked != want {
				r.t.Errorf("volume %s: unlocked %v, want %v", id, s.Unlocked, want)
			}
			return s
		}
	}
	r.t.Errorf("volume %s is not observed", id)
	return State{}
}

func TestContentNeedsTheKey(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	const canary = "canary-8c1f52a7-in-the-coal-mine"
	path := r.ensure("db", key)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1234 || st.Gid != 5678 || st.Mode&0o777 != 0o700 {
		t.Errorf("owner %d:%d mode %o", st.Uid, st.Gid, st.Mode)
	}
	write(t, filepath.Join(path, "name-"+canary), canary)
	if err := os.Mkdir(filepath.Join(path, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "dir", "inner"), canary)
	// The control: what lies outside the encrypted directory can be found.
	const plain = "control-f00dfeed-outside-the-mine"
	write(t, filepath.Join(r.mountpoint("db"), "plain"), plain)
	unix.Sync()
	raw, err := os.ReadFile(r.image("db"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(plain)) {
		t.Error("the test can't find plaintext in the image at all")
	}
	for _, secret := range [][]byte{[]byte(canary), key, key[:32], key[32:]} {
		if bytes.Contains(raw, secret) {
			t.Errorf("%q is in the image", secret)
		}
	}
	r.wantUnlocked("db", true)
	if got, err := r.Path("db"); err != nil || got != path {
		t.Errorf("path %q, %v", got, err)
	}

	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Errorf("locked again: %v", err)
	}
	r.wantUnlocked("db", false)
	_, err = r.Path("db")
	wantKind(t, err, fault.Conflict)
	if devices, err := devicesOf(r.image("db")); err != nil || len(devices) > 0 {
		t.Errorf("loop devices %v, %v", devices, err)
	}

	// Mounted without its key, as a thief of the disk would.
	if err := r.mount("db"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("%d entries, want 2 with scrambled names", len(entries))
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "canary") || e.Name() == "dir" {
			t.Errorf("the name %s is readable", e.Name())
		}
		if e.IsDir() {
			continue
		}
		if _, err := os.ReadFile(filepath.Join(path, e.Name())); !errors.Is(err, unix.ENOKEY) {
			t.Errorf("read without the key: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "new"), nil, 0o600); !errors.Is(err, unix.ENOKEY) {
		t.Errorf("write without the key: %v", err)
	}
	r.wantUnlocked("db", false)

	if again := r.ensure("db", key); again != path {
		t.Errorf("path changed to %s", again)
	}
	wantText(t, filepath.Join(path, "name-"+canary), canary)
	wantText(t, filepath.Join(path, "dir", "inner"), canary)
	for _, half := range [][]byte{key[:16], key[48:]} {
		if bytes.Contains(r.log.Bytes(), half) {
			t.Error("the log holds the key")
		}
	}
}

func TestWrongKey(t *testing.T) {
	r := newRig(t)
	key, wrong := newKey(t), newKey(t)
	path := r.ensure("db", key)
	write(t, filepath.Join(path, "file"), "text")

	_, err := r.Ensure(t.Context(), "db", wrong, size, 1234, 5678)
	wantKind(t, err, fault.Invalid)
	r.wantUnlocked("db", true) // it was unlocked, and stays so
	wantText(t, filepath.Join(path, "file"), "text")

	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Ensure(t.Context(), "db", wrong, size, 1234, 5678)
	wantKind(t, err, fault.Invalid)
	if m, err := r.mounted("db"); err != nil || m != nil {
		t.Errorf("still mounted: %v, %v", m, err)
	}
	if strings.Contains(err.Error(), string(wrong[:8])) {
		t.Error("the error holds the key")
	}
	for _, short := range [][]byte{nil, key[:32], append(key[:64:64], 0)} {
		_, err = r.Ensure(t.Context(), "db", short, size, 1234, 5678)
		wantKind(t, err, fault.Invalid)
	}
	r.ensure("db", key)
	wantText(t, filepath.Join(path, "file"), "text")
}

func TestBusyVolumeStaysUsable(t *testing.T) {
	users := map[string]func(t *testing.T, path string) (stop func()){
		"open file": func(t *testing.T, path string) func() {
			f, err := os.Open(filepath.Join(path, "file"))
			if err != nil {
				t.Fatal(err)
			}
			return func() { f.Close() }
		},
		"working directory": func(t *testing.T, path string) func() {
			cmd := exec.Command("sleep", "60")
			cmd.Dir = path
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return func() { cmd.Process.Kill(); cmd.Wait() }
		},
		"bind mount": func(t *testing.T, path string) func() {
			target := t.TempDir()
			if err := unix.Mount(path, target, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := unix.Unmount(target, 0); err != nil {
					t.Error(err)
				}
			}
		},
		"bind mount of another mount namespace": func(t *testing.T, path string) func() {
			cmd := exec.Command("unshare", "--mount", "--propagation", "slave", "sh", "-c",
				`mount --bind "$1" /mnt && umount "$2" && echo ready && exec sleep 60`, "sh", path, filepath.Dir(path))
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
				t.Fatal(err)
			}
			return func() { cmd.Process.Kill(); cmd.Wait() }
		},
	}
	for name, use := range users {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			path := r.ensure("db", newKey(t))
			write(t, filepath.Join(path, "file"), "text")
			stop := sync.OnceFunc(use(t, path))
			defer stop()
			wantKind(t, r.Lock(t.Context(), "db"), fault.Conflict)
			_, err := r.Destroy(t.Context(), "db")
			wantKind(t, err, fault.Conflict)
			r.wantUnlocked("db", true)
			wantText(t, filepath.Join(path, "file"), "text")
			write(t, filepath.Join(path, "other"), "more")
			stop()
			if err := r.Lock(t.Context(), "db"); err != nil {
				t.Errorf("when nobody uses it any more: %v", err)
			}
		})
	}
}

// TestHiddenUser holds the volume by an overlay, which shows in no table of
// mounts as a user of it: only the kernel's answer tells.
func TestHiddenUser(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	path := r.ensure("engine", key)
	for _, dir := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(path, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(path, "lower", "file"), "text")
	target := t.TempDir()
	options := "lowerdir=" + path + "/lower,upperdir=" + path + "/upper,workdir=" + path + "/work"
	if err := unix.Mount("overlay", target, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	mounted := true
	unmount := func() {
		if err := unix.Unmount(target, 0); err != nil && mounted {
			t.Error(err)
		}
		mounted = false
	}
	defer unmount()
	wantText(t, filepath.Join(target, "file"), "text")
	wantKind(t, r.Lock(t.Context(), "engine"), fault.Conflict)
	// Its key brings it back without disturbing the user.
	r.ensure("engine", key)
	r.wantUnlocked("engine", true)
	wantText(t, filepath.Join(path, "lower", "file"), "text")
	write(t, filepath.Join(target, "new"), "text")
	unmount()
	if err := r.Lock(t.Context(), "engine"); err != nil {
		t.Error(err)
	}
}

func TestDestroy(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	path := r.ensure("db", key)
	write(t, filepath.Join(path, "file"), "text")
	got, err := r.Destroy(t.Context(), "db")
	if err != nil {
		t.Fatal(err)
	}
	if !got.KeyRemoved || !strings.Contains(got.ReadTried, "required key not available") ||
		!strings.Contains(got.ReadTried, "with the key it could be read") {
		t.Errorf("disposal %+v", got)
	}
	r.nothingLeft()
	_, err = r.Destroy(t.Context(), "db")
	wantKind(t, err, fault.NotFound)

	r.ensure("locked", key)
	if err := r.Lock(t.Context(), "locked"); err != nil {
		t.Fatal(err)
	}
	got, err = r.Destroy(t.Context(), "locked")
	if err != nil {
		t.Fatal(err)
	}
	if !got.KeyRemoved || !strings.Contains(got.ReadTried, "required key not available") {
		t.Errorf("disposal %+v", got)
	}
}

// TestDestroyNoticesThatItCanRead leaves a readable file where it looks.
func TestDestroyNoticesThatItCanRead(t *testing.T) {
	r := newRig(t)
	r.ensure("db", newKey(t))
	plain := filepath.Join(r.mountpoint("db"), "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(plain, "file"), "text")
	if err := os.Rename(r.proof("db"), filepath.Join(r.mountpoint("db"), "aside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(plain, r.proof("db")); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Destroy(t.Context(), "db"); err == nil {
		t.Errorf("destroyed a volume that could be read: %+v", got)
	}
	if _, err := os.Stat(r.image("db")); err != nil {
		t.Errorf("the image is gone: %v", err)
	}
	if err := os.RemoveAll(r.proof("db")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.mountpoint("db"), "aside"), r.proof("db")); err != nil {
		t.Fatal(err)
	}
}

func TestNewProcessAdopts(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	path := r.ensure("db", key)
	write(t, filepath.Join(path, "file"), "text")
	before := r.wantUnlocked("db", true)
	_, err := Open(r.cfg, slog.New(slog.DiscardHandler))
	wantKind(t, err, fault.Conflict)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.cfg.Dir, "volumes", "half.img.new"), "")
	r.open()
	if after := r.wantUnlocked("db", true); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if _, err := os.Stat(filepath.Join(r.cfg.Dir, "volumes", "half.img.new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished image is still there: %v", err)
	}
	r.ensure("db", key)
	wantText(t, filepath.Join(path, "file"), "text")
	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Error(err)
	}
}

func TestFullVolumeHurtsNobody(t *testing.T) {
	r := newRig(t)
	full, other := r.ensure("full", newKey(t)), r.ensure("other", newKey(t))
	if err := fill(filepath.Join(full, "big")); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill: %v", err)
	}
	if info, err := os.Stat(filepath.Join(full, "big")); err != nil || info.Size() < size {
		t.Errorf("only %d of %d bytes could be used: %v", info.Size(), size, err)
	}
	if s := r.wantUnlocked("full", true); s.Used < size || s.Bytes != size {
		t.Errorf("full: %+v", s)
	}
	write(t, filepath.Join(other, "file"), "text")
	wantText(t, filepath.Join(other, "file"), "text")
	// The blocks of the neighbour's image are there before they are needed.
	var st unix.Stat_t
	if err := unix.Stat(r.image("other"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 < st.Size {
		t.Errorf("%d bytes of %d are allocated", st.Blocks*512, st.Size)
	}
	if err := os.Remove(filepath.Join(full, "big")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(full, "file"), "text")
	unix.Sync()
	if err := unix.Stat(r.image("full"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 < st.Size {
		t.Error("deleting a file gave reserved blocks back to the host")
	}
}

func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, mebi)
	for {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
}

// TestRoomAsPromised makes volumes of several sizes and asks the file system
// how much can be written.
func TestRoomAsPromised(t *testing.T) {
	r := newRig(t)
	for id, bytes := range map[string]int64{"tiny": minBytes, "small": 100 * mebi, "edge": 1023 * mebi, "large": 3 << 30} {
		if _, err := r.Ensure(t.Context(), id, newKey(t), bytes, 0, 0); err != nil {
			t.Fatal(err)
		}
		var st unix.Statfs_t
		if err := unix.Statfs(r.data(id), &st); err != nil {
			t.Fatal(err)
		}
		if free := int64(st.Bavail) * st.Bsize; free < bytes {
			t.Errorf("%s: %d bytes are free of %d", id, free, bytes)
		} else if free > bytes+bytes/16+64*mebi {
			t.Errorf("%s: %d bytes are free, %d were asked for", id, free, bytes)
		}
	}
}

func TestNoRoomOnTheHost(t *testing.T) {
	r := newRig(t)
	var st unix.Statfs_t
	if err := unix.Statfs(r.cfg.Dir, &st); err != nil {
		t.Fatal(err)
	}
	_, err := r.Ensure(t.Context(), "huge", newKey(t), int64(st.Bfree)*st.Bsize, 0, 0)
	wantKind(t, err, fault.Unavailable)
	r.nothingLeft()
	_, err = r.Ensure(t.Context(), "none", newKey(t), 0, 0, 0)
	wantKind(t, err, fault.Invalid)
	for _, id := range []string{"", "..", "a/b", "a.b", strings.Repeat("a", 65)} {
		_, err = r.Ensure(t.Context(), id, newKey(t), size, 0, 0)
		wantKind(t, err, fault.Invalid)
	}
	wantKind(t, r.Lock(t.Context(), "none"), fault.NotFound)
}

// TestMountedElsewhere has the volume in a mount namespace that does not follow
// the host's, at the same place and at another one.
func TestMountedElsewhere(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	path := r.ensure("db", key)
	write(t, filepath.Join(path, "file"), "text")
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount --bind "$1" /mnt && echo ready && exec sleep 60`, "sh", r.mountpoint("db"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	defer stop()
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	there := fmt.Sprintf("/proc/%d/root/mnt/data/file", cmd.Process.Pid)
	wantText(t, there, "text")
	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(there); err == nil {
		t.Errorf("a copy of the mount still reads %q", b)
	}
	before, err := devicesOf(r.image("db"))
	if err != nil || len(before) != 1 {
		t.Fatalf("devices %v, %v: the copy should hold one", before, err)
	}
	r.ensure("db", key)
	wantText(t, filepath.Join(path, "file"), "text")
	if after, err := devicesOf(r.image("db")); err != nil || len(after) != 1 || after[0] != before[0] {
		t.Errorf("devices %v, %v; want %v", after, err, before)
	}
	stop()
	if err := r.Lock(t.Context(), "db"); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	var wg sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		wg.Go(func() {
			for range 3 {
				path, err := r.Ensure(t.Context(), id, key, size, 0, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(path, "file"), []byte(id), 0o600); err != nil {
					t.Error(err)
				}
				if err := r.Lock(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
