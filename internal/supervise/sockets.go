package supervise

import (
	"log/slog"
	"os"
	"slices"
)

// sockets are the listening sockets that a supervisor holds for a child, in the
// order of Spec.Listen.
type sockets struct {
	listen []Listen
	files  []*os.File
}

// open returns the sockets for a start, making those that are not held.
func (s *sockets) open(spec Spec) ([]*os.File, error) {
	s.fit(spec)
	for i, l := range spec.Listen {
		if s.files[i] != nil {
			continue
		}
		file, err := l.open()
		if err != nil {
			return nil, err
		}
		s.files[i] = file
	}
	return s.files, nil
}

// fetch takes the sockets out of a child that was taken over. One that cannot
// be had is made anew when the child is next started, which refuses
// connections for that moment.
func (s *sockets) fetch(p *process, spec Spec, log *slog.Logger) {
	s.fit(spec)
	for i, l := range spec.Listen {
		file, err := l.fetch(p)
		if err != nil {
			log.Warn("listening socket not fetched from the running child", "socket", l.Address, "error", err)
			continue
		}
		if s.files[i] != nil {
			s.files[i].Close()
		}
		s.files[i] = file
	}
}

// fit keeps what the Spec still asks for and closes the rest.
func (s *sockets) fit(spec Spec) {
	files := make([]*os.File, len(spec.Listen))
	for i, l := range s.listen {
		if at := slices.Index(spec.Listen, l); at >= 0 {
			files[at] = s.files[i]
		} else if s.files[i] != nil {
			s.files[i].Close()
		}
	}
	s.listen, s.files = slices.Clone(spec.Listen), files
}

func (s *sockets) close() {
	s.fit(Spec{})
}
