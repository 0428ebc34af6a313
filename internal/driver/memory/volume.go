package memory

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxFiles bounds what a volume holds.
const maxFiles = 64 << 20

type volume struct {
	driver.Volume
	unlocked bool
	open     int // files that processes hold open
	files    map[string]file
}

type file struct {
	content  []byte
	mode     int64
	uid, gid int
}

func (v *volume) used() (n int64) {
	for _, f := range v.files {
		n += int64(len(f.content))
	}
	return n
}

func (v *volume) observe() driver.ObservedVolume {
	return driver.ObservedVolume{ID: v.ID, Space: v.Space, Unlocked: v.unlocked, Bytes: v.Bytes, Used: v.used()}
}

func (d *Driver) volume(id string) (*volume, error) {
	if v := d.volumes[id]; v != nil {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "There is no volume %s on this engine.", id)
}

func (d *Driver) unlocked(id string) (*volume, error) {
	v, err := d.volume(id)
	if err == nil && !v.unlocked {
		return nil, fault.New(fault.Conflict, "The volume %s is locked.", id)
	}
	return v, err
}

// EnsureVolume implements driver.Driver.
func (d *Driver) EnsureVolume(_ context.Context, v driver.Volume) error {
	if err := v.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.space(v.Space); err != nil {
		return err
	}
	have := d.volumes[v.ID]
	switch {
	case have == nil:
		have = &volume{Volume: v, files: map[string]file{}}
		d.volumes[v.ID] = have
	case have.Space != v.Space:
		return fault.New(fault.Conflict, "The volume %s belongs to another space.", v.ID)
	case subtle.ConstantTimeCompare(have.Key, v.Key) == 0:
		return fault.New(fault.Invalid, "The key is not that of volume %s.", v.ID)
	}
	have.unlocked = true
	have.Bytes = v.Bytes
	return nil
}

// LockVolume implements driver.Driver.
func (d *Driver) LockVolume(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(id)
	if err != nil {
		return err
	}
	if v.open > 0 {
		return fault.New(fault.Conflict, "Files of volume %s are still open.", id)
	}
	v.unlocked = false
	return nil
}

// DestroyVolume implements driver.Driver.
func (d *Driver) DestroyVolume(ctx context.Context, id string) (driver.Disposal, error) {
	if err := d.LockVolume(ctx, id); err != nil {
		return driver.Disposal{}, err
	}
	_, err := d.GetFiles(ctx, id, "")
	if fault.Of(err) != fault.Conflict {
		return driver.Disposal{}, errors.New("a locked volume could be read")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.volumes, id)
	return driver.Disposal{KeyRemoved: true, ReadTried: "list /: " + err.Error()}, nil
}

// PutFiles implements driver.Driver.
func (d *Driver) PutFiles(_ context.Context, id, dir string, archive io.Reader) error {
	if err := driver.CheckDir(dir); err != nil {
		return err
	}
	in := tar.NewReader(io.LimitReader(archive, maxFiles))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "The archive cannot be read.")
		}
		if err := d.put(id, dir, h, in); err != nil {
			return err
		}
	}
}

func (d *Driver) put(id, dir string, h *tar.Header, in io.Reader) error {
	name := path.Clean(h.Name)
	if path.IsAbs(h.Name) || name == ".." || strings.HasPrefix(name, "../") {
		return fault.New(fault.Invalid, "The archive's entry %q leaves the directory.", h.Name)
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The archive cannot be read.")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.unlocked(id)
	if err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	v.files[path.Join(dir, name)] = file{content: content, mode: h.Mode, uid: h.Uid, gid: h.Gid}
	return nil
}

// GetFiles implements driver.Driver.
func (d *Driver) GetFiles(_ context.Context, id, dir string) (io.ReadCloser, error) {
	if err := driver.CheckDir(dir); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.unlocked(id)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	out := tar.NewWriter(&buf)
	found := dir == ""
	for name, f := range v.files {
		if dir != "" {
			if !strings.HasPrefix(name, dir+"/") {
				continue
			}
			name = strings.TrimPrefix(name, dir+"/")
		}
		found = true
		h := &tar.Header{Name: name, Mode: f.mode, Uid: f.uid, Gid: f.gid, Size: int64(len(f.content))}
		if err := out.WriteHeader(h); err != nil {
			return nil, err
		}
		out.Write(f.content)
	}
	if !found {
		return nil, fault.New(fault.NotFound, "There is no directory %s in volume %s.", dir, id)
	}
	out.Close()
	return io.NopCloser(&buf), nil
}

// mounted finds the volume and the name in it of a path of the process; the
// driver's mu is held.
func (m *machine) mounted(name string) (*volume, string, driver.Mount, error) {
	for _, mount := range m.spec.Mounts {
		if rest, ok := strings.CutPrefix(name, mount.Path+"/"); ok {
			v, err := m.driver.unlocked(mount.Volume)
			return v, path.Join(mount.Dir, rest), mount, err
		}
	}
	return nil, "", driver.Mount{}, fs.ErrNotExist
}

// ReadFile implements script.System. There are no files but those of volumes.
func (m *machine) ReadFile(name string) ([]byte, error) {
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	v, inside, _, err := m.mounted(name)
	if err != nil {
		return nil, err
	}
	f, ok := v.files[inside]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.content, nil
}

// WriteFile implements script.System.
func (m *machine) WriteFile(name string, content []byte) error {
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	v, inside, mount, err := m.mounted(name)
	if err != nil {
		return err
	}
	if mount.ReadOnly {
		return errors.New("read-only file system")
	}
	v.files[inside] = file{content: content, mode: 0o644, uid: m.spec.UID, gid: m.spec.UID}
	return nil
}

// Open implements script.System: the file stays open until the process ends.
func (m *machine) Open(name string) (io.Closer, error) {
	if _, err := m.ReadFile(name); err != nil {
		return nil, err
	}
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	v, _, _, err := m.mounted(name)
	if err != nil {
		return nil, err
	}
	v.open++
	m.held = append(m.held, v)
	return io.NopCloser(nil), nil
}
