package containerd

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
)

// surveyMounts compares where volumes are mounted, in all mount namespaces of
// the host, with where the engine mounted them.
func (d *Driver) surveyMounts(context.Context) (*driver.Survey, error) {
	s := d.newSurvey(driver.AreaMounts)
	known := d.volumesKnown()
	uses, err := d.cfg.Volumes.Uses()
	if err != nil {
		return nil, err
	}
	s.Look("", "mount namespaces", uses.Namespaces)
	for _, p := range s.Parts {
		s.Look(p.Space, "volumes", 0)
		s.Look(p.Space, "mounts of them in containers and elsewhere", 0)
	}
	for _, space := range known {
		s.Look(space, "volumes", 1)
	}
	judgeMounts(s, uses, known, d.mountsKnown(), procfs.Describe)
	return s, nil
}

// volumesKnown are the volumes, those that containers write to among them, with
// their spaces.
func (d *Driver) volumesKnown() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]string{}
	for id, v := range d.volumes {
		out[id] = v.Space
	}
	for id := range d.spaces {
		out[scratchID(id)] = id
	}
	return out
}

// place is where a volume may be mounted.
type place struct{ namespace, volume, point string }

// mountsKnown are the places in containers at which their volumes are mounted.
func (d *Driver) mountsKnown() map[place]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[place]bool{}
	for _, c := range d.containers {
		if c.task == nil || c.Exit != nil {
			continue
		}
		ns, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(int(c.task.Pid())), "ns/mnt"))
		if err != nil {
			continue // it is ending
		}
		out[place{ns, scratchID(c.Space), "/tmp"}] = true
		for _, m := range c.Process.Mounts {
			out[place{ns, m.Volume, filepath.Clean(m.Path)}] = true
		}
	}
	return out
}

// judgeMounts finds mounts at no known place, volumes with two devices, and
// devices on images that are no volume's.
func judgeMounts(s *driver.Survey, uses volume.Uses, known map[string]string, places map[place]bool, describe func(pid int) string) {
	for _, id := range slices.Sorted(maps.Keys(uses.Devices)) {
		devices := strings.Join(uses.Devices[id], ", ")
		space, ours := known[id]
		switch {
		case !ours:
			s.Found("", "device", "The file %q among the images of volumes has the device %s and is no volume's.", id, devices)
		case len(uses.Devices[id]) > 1:
			s.Found(space, "device", "The image of the volume %s has more than one device: %s.", id, devices)
		}
	}
	for _, u := range uses.Mounts {
		space := known[u.Volume]
		s.Look(space, "mounts of them in containers and elsewhere", 1)
		if !places[place{u.Namespace, u.Volume, u.Point}] {
			s.Found(space, "mount", "The part %q of the volume %s is mounted on %q, where the process %s sees it.", u.Root, u.Volume, u.Point, describe(u.PID))
		}
	}
}
