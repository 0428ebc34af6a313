package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// segment is one file of an app's log.
type segment struct {
	first uint64 // id of its first record; also its name
	size  int64  // bytes that hold whole records; readers stop there
}

const segmentSuffix = ".seg"

func (s segment) path(dir string) string { return filepath.Join(dir, formatID(s.first)+segmentSuffix) }

// listSegments returns the segments in dir, oldest first, none if dir is not there.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var segments []segment
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), segmentSuffix)
		first, err := parseID(name)
		if !ok || err != nil {
			continue // nothing of ours
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		segments = append(segments, segment{first: first, size: info.Size()})
	}
	slices.SortFunc(segments, func(a, b segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return segments, nil
}

// scanner reads the records of a segment one after the other.
type scanner struct {
	read *bufio.Reader
	at   int64  // offset of the next record
	end  int64  // where the records end
	last uint64 // id of the record before; ids must grow
}

// scan reads from offset (0 = the first record) to end.
func scan(file io.ReaderAt, offset, end int64) (*scanner, error) {
	if offset == 0 {
		head := make([]byte, len(magic))
		if _, err := file.ReadAt(head, 0); err != nil || string(head) != magic {
			return nil, errTorn
		}
		offset = int64(len(magic))
	}
	section := io.NewSectionReader(file, offset, end-offset)
	return &scanner{read: bufio.NewReaderSize(section, 64<<10), at: offset, end: end}, nil
}

// next returns the next record, valid until the following call; io.EOF at the
// end, errTorn if what follows is no intact record.
func (s *scanner) next() (record, error) {
	if s.at >= s.end {
		return record{}, io.EOF
	}
	header, err := s.read.Peek(recordHeader)
	if err != nil {
		return record{}, torn(err)
	}
	size, err := payloadSize(header)
	if err != nil {
		return record{}, err
	}
	b, err := s.read.Peek(recordHeader + size)
	if err != nil {
		return record{}, torn(err)
	}
	r, err := decodeRecord(b)
	if err != nil || r.id <= s.last {
		return record{}, errTorn
	}
	// Discarding what was peeked cannot fail, and leaves it in place until the next Peek.
	_, _ = s.read.Discard(len(b))
	s.last = r.id
	s.at += int64(len(b))
	return r, nil
}

// torn tells the end of the file from an error of the disk.
func torn(err error) error {
	if errors.Is(err, io.EOF) {
		return errTorn
	}
	return err
}

// repair cuts off what follows the last intact record of the newest segment:
// after a crash, part of a batch. It returns the segment as it is then (size 0 if there
// was nothing intact and it was removed), its last id, and how much was cut.
func repair(dir string, seg segment) (fixed segment, last uint64, cut int64, err error) {
	path := seg.path(dir)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return seg, 0, 0, err
	}
	defer file.Close()
	end := int64(0)
	if s, err := scan(file, 0, seg.size); err == nil {
		for err == nil {
			_, err = s.next()
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) {
			return seg, 0, 0, fmt.Errorf("read %s: %w", path, err)
		}
		end, last = s.at, s.last
	}
	fixed = segment{first: seg.first, size: end}
	if last == 0 {
		return segment{first: seg.first}, 0, seg.size, os.Remove(path)
	}
	if end == seg.size {
		return fixed, last, 0, nil
	}
	return fixed, last, seg.size - end, file.Truncate(end)
}
