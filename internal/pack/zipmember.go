package pack

import (
	"bufio"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
)

// member is a file in the zip.
type member struct {
	name   string
	offset int64 // of what is written before it
	data   int64 // of its bytes
	head   head
}

// head is what the directory and the bytes before a file both say about it.
type head struct {
	version, flags, method, time, date uint16
	crc                                uint32
	compressed, size                   int64
}

const (
	stored   = 0
	deflated = 8
)

// set reads the fields, which begin with the version needed.
func (h *head) set(b []byte) {
	le := binary.LittleEndian
	h.version, h.flags, h.method = le.Uint16(b), le.Uint16(b[2:]), le.Uint16(b[4:])
	h.time, h.date, h.crc = le.Uint16(b[6:]), le.Uint16(b[8:]), le.Uint32(b[10:])
	h.compressed, h.size = int64(le.Uint32(b[14:])), int64(le.Uint32(b[18:]))
}

// check refuses what a pack may not use.
func (h *head) check(name string) error {
	switch {
	case h.flags&flagEncrypted != 0:
		return badZip(name, "the file is encrypted")
	case h.flags&^flagsAllowed != 0:
		return badZip(name, "the file uses a feature of zip that a pack may not use (flags %#x)", h.flags)
	case h.method != stored && h.method != deflated:
		return badZip(name, "the file is neither stored nor deflated (method %d)", h.method)
	case h.version&0xff > 45:
		return badZip(name, "the file needs version %d of zip", h.version&0xff)
	case h.compressed < 0 || h.size < 0 || h.method == stored && h.compressed != h.size:
		return badZip(name, "the file's sizes are impossible")
	}
	return nil
}

// agrees compares the head before a file with the directory's. A file written
// to a stream has its checksum and sizes behind it instead.
func (h *head) agrees(central *head) bool {
	l, c := *h, *central
	if c.flags&flagDescriptor != 0 {
		if l.crc == 0 {
			l.crc = c.crc
		}
		if l.compressed == 0 {
			l.compressed = c.compressed
		}
		if l.size == 0 {
			l.size = c.size
		}
	}
	return l == c
}

var errExtra = errors.New("malformed or unknown extra field")

// widen takes sizes and offset from the Zip64 extra field where the plain ones
// are full. offset is nil where there is none. Of other extra fields only times
// and owners are allowed: some programs take a file's name from there.
func (h *head) widen(extra []byte, offset *int64) error {
	le := binary.LittleEndian
	seen := false
	for len(extra) > 0 {
		if len(extra) < 4 || int(le.Uint16(extra[2:])) > len(extra)-4 {
			return errExtra
		}
		id, body := le.Uint16(extra), extra[4:4+le.Uint16(extra[2:])]
		extra = extra[4+len(body):]
		switch id {
		case extraZip64:
			if seen || !h.widenFrom(body, offset) {
				return errExtra
			}
			seen = true
		case 0x5455, 0x000a, 0x7875:
		default:
			return errExtra
		}
	}
	return nil
}

func (h *head) widenFrom(body []byte, offset *int64) bool {
	for _, field := range []*int64{&h.size, &h.compressed, offset} {
		if field == nil || *field != max32 {
			continue
		}
		if len(body) < 8 {
			return false
		}
		*field = int64(binary.LittleEndian.Uint64(body))
		if body = body[8:]; *field < 0 {
			return false
		}
	}
	return len(body) == 0
}

func sortByOffset(members []*member) {
	slices.SortFunc(members, func(a, b *member) int { return cmp.Compare(a.offset, b.offset) })
}

// open returns the file's content. Reading ends with io.EOF only if the content
// has exactly the stated size and checksum and nothing is left of the
// compressed bytes; otherwise it ends with a Refusal.
func (z *archive) open(m *member) io.Reader {
	in := bufio.NewReader(io.NewSectionReader(z.r, m.data, m.head.compressed))
	r := &memberReader{m: m, in: in, content: in, left: m.head.size}
	if m.head.method == deflated {
		// With an io.ByteReader flate reads nothing beyond the end of its stream.
		r.content = flate.NewReader(in)
	}
	return r
}

type memberReader struct {
	m       *member
	in      *bufio.Reader // the compressed bytes
	content io.Reader
	left    int64
	crc     uint32
	err     error
}

func (r *memberReader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = r.end()
		return 0, r.err
	}
	p = p[:min(int64(len(p)), r.left)]
	n, err := r.content.Read(p)
	r.left -= int64(n)
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p[:n])
	if err != nil && r.left > 0 {
		r.err = r.damaged(err)
	}
	return n, r.err
}

// damaged tells bytes that are wrong from bytes that could not be read.
func (r *memberReader) damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badZip(r.m.name, "the compressed data is damaged")
	}
	return err
}

func (r *memberReader) end() error {
	var one [1]byte
	n, err := r.content.Read(one[:])
	for n == 0 && err == nil {
		n, err = r.content.Read(one[:])
	}
	if n > 0 {
		return badZip(r.m.name, "the file is longer than the zip says")
	}
	if !errors.Is(err, io.EOF) {
		return r.damaged(err)
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return badZip(r.m.name, "there is data behind the file's compressed data")
	}
	if r.crc != r.m.head.crc {
		return badZip(r.m.name, "the checksum does not match")
	}
	return io.EOF
}
