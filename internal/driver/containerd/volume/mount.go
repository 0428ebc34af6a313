package volume

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// How long Lock and Destroy wait for files to be closed: what was stopped just
// now needs a moment to go.
const (
	patience = 4 * time.Second
	pause    = 20 * time.Millisecond
)

// mount is a line of mountinfo.
type mount struct {
	device string // major:minor
	root   string // which part of the file system
	point  string
	source string
}

// mounts that a process sees.
func mounts(mountinfo string) ([]mount, error) {
	b, err := os.ReadFile(mountinfo)
	if err != nil {
		return nil, err
	}
	var out []mount
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m, ok := parseMount(lines.Text()); ok {
			out = append(out, m)
		}
	}
	return out, lines.Err()
}

// MountPoints lists what this process sees mounted, in the order of its mounting.
func MountPoints() ([]string, error) {
	all, err := mounts("/proc/self/mountinfo")
	var out []string
	for _, m := range all {
		out = append(out, m.point)
	}
	return out, err
}

// parseMount reads "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw".
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !ok || len(fields) < 6 || len(rest) < 2 {
		return mount{}, false
	}
	return mount{device: fields[2], root: unescape(fields[3]), point: unescape(fields[4]), source: unescape(rest[1])}, true
}

// unescape undoes the kernel's octal escapes of blanks and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// mounted is the volume's mount, nil if it has none. Something else in its
// place is an error.
func (p *Pool) mounted(id string) (*mount, error) {
	all, err := mounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.point != p.mountpoint(id) {
			continue
		}
		devices, err := devicesOf(p.image(id))
		if err != nil {
			return nil, err
		}
		for _, d := range devices {
			if m.source == "/dev/"+d {
				return &m, nil
			}
		}
		return nil, fmt.Errorf("%s is mounted on %s, not the volume's image", m.source, m.point)
	}
	return nil, nil
}

// mount attaches and mounts the image. If it has a device already, because a
// mount namespace that does not follow ours still has it mounted, that device
// is used: the kernel then shares the one file system that is there. A second
// device would mean a second file system on the same blocks, which destroys it.
func (p *Pool) mount(id string) error {
	device, err := p.device(id)
	if err != nil {
		return err
	}
	defer device.Close() // the mount keeps it
	if err := os.MkdirAll(p.mountpoint(id), 0o711); err != nil {
		return err
	}
	err = unix.Mount(device.Name(), p.mountpoint(id), "ext4", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOATIME, "errors=remount-ro")
	if err != nil {
		os.Remove(p.mountpoint(id))
		return fmt.Errorf("mount volume %s: %w", id, err)
	}
	return nil
}

func (p *Pool) device(id string) (*os.File, error) {
	names, err := devicesOf(p.image(id))
	if err != nil {
		return nil, err
	}
	switch len(names) {
	case 0:
		return attach(p.image(id))
	case 1:
		return os.OpenFile("/dev/"+names[0], os.O_RDWR, 0)
	}
	return nil, fault.New(fault.Conflict, "The image of volume %s has more than one loop device: %s.", id, strings.Join(names, ", "))
}

// unmount unmounts the volume and waits for its loop device to be free.
// Removing the mount point makes the kernel detach copies of the mount in
// namespaces that do not follow ours. A copy at another place keeps the device
// until it goes; what can be seen there is locked like everywhere.
func (p *Pool) unmount(ctx context.Context, id string) error {
	err := p.until(ctx, func() (bool, error) {
		err := unix.Unmount(p.mountpoint(id), unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return inUse(id, fmt.Errorf("unmount: %w", err))
	}
	if err := os.Remove(p.mountpoint(id)); err != nil {
		return err
	}
	var names []string
	err = p.until(ctx, func() (bool, error) {
		names, err = devicesOf(p.image(id))
		return len(names) == 0, err
	})
	if errors.Is(err, errStillBusy) {
		p.log.Warn("a locked volume is still mounted in another mount namespace", "volume", id, "devices", names)
		return nil
	}
	return err
}

var errStillBusy = errors.New("still busy")

// until repeats try until it is done, fails, or takes too long.
func (p *Pool) until(ctx context.Context, try func() (done bool, err error)) error {
	deadline := time.Now().Add(p.patience)
	for {
		done, err := try()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errStillBusy
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// inUse makes a Conflict of errStillBusy.
func inUse(id string, err error) error {
	if errors.Is(err, errStillBusy) {
		return fault.Wrap(fault.Conflict, err, "The volume %s is in use: stop what uses it first.", id)
	}
	return err
}

// quiet says whether nothing uses the mount, without changing anything.
func (p *Pool) quiet(id string, m *mount) (bool, error) {
	bound, err := boundElsewhere(m.device)
	if err != nil || bound {
		return false, err
	}
	// MNT_EXPIRE asks whether anything is open or working below the mount. Any
	// use of it takes the mark of an earlier call away, which would otherwise
	// make the second call unmount.
	if _, err := os.Stat(p.mountpoint(id)); err != nil {
		return false, err
	}
	switch err := unix.Unmount(p.mountpoint(id), unix.MNT_EXPIRE|unix.UMOUNT_NOFOLLOW); {
	case errors.Is(err, unix.EAGAIN):
		_, err := os.Stat(p.mountpoint(id))
		return true, err
	case errors.Is(err, unix.EBUSY):
		return false, nil
	case err == nil:
		return false, fmt.Errorf("volume %s was unmounted by a question", id)
	default:
		return false, fmt.Errorf("ask whether volume %s is in use: %w", id, err)
	}
}

// boundElsewhere says whether any process sees a part of the file system
// mounted, as containers do. A mount of the whole of it is our own or a copy of
// that in another mount namespace, which goes when ours does.
func boundElsewhere(device string) (bound bool, err error) {
	err = eachNamespace(func(_ string, _ int, all []mount) {
		for _, m := range all {
			bound = bound || m.device == device && m.root != "/"
		}
	})
	return bound, err
}

// eachNamespace gives the mounts of each mount namespace of the host, with a
// process that is in it.
func eachNamespace(fn func(ns string, pid int, all []mount)) error {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	// The oldest of a namespace stands for it, the same one each time.
	slices.SortFunc(processes, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	seen := map[string]bool{}
	for _, process := range processes {
		ns, err := os.Readlink(process + "/ns/mnt")
		if err != nil || seen[ns] {
			continue
		}
		all, err := mounts(process + "/mountinfo")
		if err != nil {
			continue // it has ended; another of its namespace may come by
		}
		seen[ns] = true
		pid, _ := strconv.Atoi(filepath.Base(process)) // digits
		fn(ns, pid, all)
	}
	return nil
}
