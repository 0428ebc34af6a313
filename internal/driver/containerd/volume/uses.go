package volume

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Use is a mount of a volume, or of a part of it, that is not the pool's own.
type Use struct {
	Volume    string
	Root      string // which part
	Point     string // where, as PID sees it
	Namespace string // mount namespace, as the kernel writes it
	PID       int    // a process in it
}

// Uses is where volumes are seen on the host, in whatever mount namespace.
type Uses struct {
	Devices    map[string][]string // loop devices by the id that the image's name says
	Mounts     []Use
	Namespaces int
}

// Uses looks for loop devices on images of the pool and for mounts of these.
// Where a copy of the pool's own mounts lies in another namespace is no use.
func (p *Pool) Uses() (Uses, error) {
	u := Uses{Devices: map[string][]string{}}
	volumes, err := p.devices(u.Devices)
	if err != nil {
		return u, err
	}
	err = eachNamespace(func(ns string, pid int, all []mount) {
		u.Namespaces++
		for _, m := range all {
			if id := volumes[m.device]; id != "" && (m.root != "/" || m.point != p.mountpoint(id)) {
				u.Mounts = append(u.Mounts, Use{id, m.root, m.point, ns, pid})
			}
		}
	})
	return u, err
}

// devices adds the loop devices on files where images lie, and gives the
// volumes by the devices' numbers.
func (p *Pool) devices(byID map[string][]string) (map[string]string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	byNumber := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		number, nerr := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(file)), "dev"))
		if err != nil || nerr != nil {
			continue // freed meanwhile
		}
		image := strings.TrimSuffix(strings.TrimSpace(string(b)), " (deleted)")
		if filepath.Dir(image) != filepath.Dir(p.image("")) {
			continue
		}
		id := strings.TrimSuffix(filepath.Base(image), ".img")
		byID[id] = append(byID[id], strings.Split(file, "/")[3])
		slices.Sort(byID[id])
		byNumber[strings.TrimSpace(string(number))] = id
	}
	return byNumber, nil
}
