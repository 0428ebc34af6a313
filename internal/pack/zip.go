package pack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// The zip is read by this file and not by archive/zip, because the rules are
// about what archive/zip forgives: every byte of the file must belong to a
// member, to the central directory or to the end records, in that order and
// without a gap, so that nothing can hide and all programs see the same files.

// archive is the pack's zip, whose form has been checked.
type archive struct {
	r       io.ReaderAt
	members map[string]*member // by name
	order   []*member          // as they lie
}

const (
	maxMembers = 1 << 18 // more than a manifest of 16 MiB can list
	max16      = 1<<16 - 1
	max32      = 1<<32 - 1

	localSize      = 30
	centralSize    = 46
	endSize        = 22
	end64Size      = 56
	locatorSize    = 20
	localSig       = 0x04034b50
	centralSig     = 0x02014b50
	endSig         = 0x06054b50
	end64Sig       = 0x06064b50
	locatorSig     = 0x07064b50
	descriptorSig  = 0x08074b50
	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	// Deflate's level, a data descriptor, UTF-8 names: the flags that may be set.
	flagsAllowed = 1<<1 | 1<<2 | flagDescriptor | 1<<11
	extraZip64   = 0x0001
)

// badZip is a Refusal about the form of the zip.
func badZip(name, format string, args ...any) error {
	return refuse(FormGroup, name, noSeq, format, args...)
}

// openZip checks the form of the whole zip.
func openZip(a Archive) (*archive, error) {
	z := &archive{r: a.ReaderAt, members: map[string]*member{}}
	dir, err := z.readEnd(a.Size)
	if err != nil {
		return nil, err
	}
	if err := z.readDirectory(dir); err != nil {
		return nil, err
	}
	return z, z.readLocals(dir.offset)
}

// directory says where the central directory is.
type directory struct{ offset, size, count int64 }

// readAt reads n bytes; a file that is shorter is no zip.
func (z *archive) readAt(offset int64, n int) ([]byte, error) {
	buf := make([]byte, n)
	if offset < 0 {
		return nil, badZip("", "the zip is cut off")
	}
	if _, err := z.r.ReadAt(buf, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if err != nil {
		// ReadAt may return io.EOF with a full buffer at the end of the file.
		if k, _ := z.r.ReadAt(buf, offset); k < n {
			return nil, badZip("", "the zip is cut off")
		}
	}
	return buf, nil
}

// readEnd reads the end record, which must be the file's last bytes.
func (z *archive) readEnd(size int64) (directory, error) {
	at := size - endSize
	b, err := z.readAt(at, endSize)
	if err != nil {
		return directory{}, err
	}
	le := binary.LittleEndian
	if le.Uint32(b) != endSig || le.Uint16(b[20:]) != 0 {
		return directory{}, badZip("", "the file does not end with a zip's end record: not a zip, data after it, or a comment")
	}
	d := directory{
		count:  int64(le.Uint16(b[10:])),
		size:   int64(le.Uint32(b[12:])),
		offset: int64(le.Uint32(b[16:])),
	}
	if le.Uint32(b[4:]) != 0 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return directory{}, badZip("", "the zip is in several parts")
	}
	if d.count == max16 || d.size == max32 || d.offset == max32 {
		if at, err = z.readEnd64(at-locatorSize, &d); err != nil {
			return directory{}, err
		}
	}
	if d.offset < 0 || d.size < 0 || d.offset > at || d.size != at-d.offset {
		return directory{}, badZip("", "there is data between the zip's directory and its end")
	}
	if d.count > maxMembers {
		return directory{}, badZip("", "the zip has %d files, more than a manifest can list", d.count)
	}
	return d, nil
}

// readEnd64 reads the Zip64 locator at the position and the end record that it
// leads to, fills in what the plain end record leaves open, and returns where
// the directory must end.
func (z *archive) readEnd64(at int64, d *directory) (int64, error) {
	locator, err := z.readAt(at, locatorSize)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(locator) != locatorSig || le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) != 1 ||
		le.Uint64(locator[8:]) != uint64(at-end64Size) {
		return 0, badZip("", "malformed Zip64 locator")
	}
	b, err := z.readAt(at-end64Size, end64Size)
	if err != nil {
		return 0, err
	}
	if le.Uint32(b) != end64Sig || le.Uint64(b[4:]) != end64Size-12 || le.Uint64(b[16:]) != 0 ||
		le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return 0, badZip("", "malformed Zip64 end record")
	}
	for _, f := range []struct {
		value *int64
		open  int64
		wide  uint64
	}{{&d.count, max16, le.Uint64(b[32:])}, {&d.size, max32, le.Uint64(b[40:])}, {&d.offset, max32, le.Uint64(b[48:])}} {
		if *f.value != f.open && uint64(*f.value) != f.wide {
			return 0, badZip("", "the zip's two end records disagree")
		}
		*f.value = int64(f.wide)
	}
	return at - end64Size, nil
}

// readDirectory reads the central directory.
func (z *archive) readDirectory(d directory) error {
	in := bufio.NewReader(io.NewSectionReader(z.r, d.offset, d.size))
	seen := map[string]bool{}
	for range d.count {
		m, err := readCentral(in)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return badZip("", "the zip's directory is cut off")
		}
		if err != nil {
			return err
		}
		if lower := strings.ToLower(m.name); seen[lower] {
			return badZip(m.name, "the zip has two files of that name, regardless of case")
		} else {
			seen[lower] = true
		}
		z.members[m.name] = m
		z.order = append(z.order, m)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return badZip("", "there is data between the zip's directory and its end")
	}
	return nil
}

func readCentral(in *bufio.Reader) (*member, error) {
	var b [centralSize]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(b[:]) != centralSig {
		return nil, badZip("", "malformed entry in the zip's directory")
	}
	rest := make([]byte, int(le.Uint16(b[28:]))+int(le.Uint16(b[30:])))
	if _, err := io.ReadFull(in, rest); err != nil {
		return nil, err
	}
	name, extra := string(rest[:le.Uint16(b[28:])]), rest[le.Uint16(b[28:]):]
	if !validPath(name) {
		return nil, badZip(clip(name), "a pack cannot hold a file of that name")
	}
	m := &member{name: name, offset: int64(le.Uint32(b[42:]))}
	m.head.set(b[6:])
	if le.Uint16(b[32:]) != 0 {
		return nil, badZip(name, "the file has a zip comment")
	}
	if le.Uint16(b[34:]) != 0 {
		return nil, badZip(name, "the zip is in several parts")
	}
	// The upper half is the Unix mode, whatever system claims to have made it;
	// bit 4 of the lower half marks a directory.
	mode := le.Uint32(b[38:]) >> 16
	if kind := mode & 0o170000; kind != 0 && kind != 0o100000 || b[38]&0x10 != 0 {
		return nil, badZip(name, "neither links nor directories nor devices may be in a pack")
	}
	if err := m.head.widen(extra, &m.offset); err != nil {
		return nil, badZip(name, "%v", err)
	}
	return m, m.head.check(name)
}

// readLocals checks that the members lie one after the other from the file's
// first byte to the directory, and that what is written before each agrees with
// the directory.
func (z *archive) readLocals(end int64) error {
	sortByOffset(z.order)
	at := int64(0)
	for i, m := range z.order {
		if m.offset != at {
			return badZip(m.name, "there is data before or between the zip's files, or they overlap")
		}
		next := end
		if i+1 < len(z.order) {
			next = z.order[i+1].offset
		}
		if err := z.readLocal(m, next); err != nil {
			return err
		}
		at = next
	}
	if at != end {
		return badZip("", "there is data before the zip's directory")
	}
	return nil
}

func (z *archive) readLocal(m *member, next int64) error {
	b, err := z.readAt(m.offset, localSize)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	rest, err := z.readAt(m.offset+localSize, nameLen+extraLen)
	if err != nil {
		return err
	}
	var local head
	local.set(b[4:])
	if le.Uint32(b) != localSig || string(rest[:nameLen]) != m.name {
		return badZip(m.name, "the zip's directory names another file than what it leads to")
	}
	if err := local.widen(rest[nameLen:], nil); err != nil {
		return badZip(m.name, "%v", err)
	}
	if !local.agrees(&m.head) {
		return badZip(m.name, "what is written before the file disagrees with the zip's directory")
	}
	m.data = m.offset + localSize + int64(len(rest))
	gap := next - m.data - m.head.compressed
	if m.head.compressed > next-m.data || m.head.flags&flagDescriptor == 0 && gap != 0 {
		return badZip(m.name, "the file does not end where the next one begins")
	}
	if m.head.flags&flagDescriptor == 0 {
		return nil
	}
	return z.readDescriptor(m, gap)
}

// readDescriptor checks the data descriptor behind a file that was written to a
// stream: 12 or 20 bytes, with or without a signature.
func (z *archive) readDescriptor(m *member, gap int64) error {
	if gap != 12 && gap != 16 && gap != 20 && gap != 24 {
		return badZip(m.name, "the file does not end where the next one begins")
	}
	got, err := z.readAt(m.data+m.head.compressed, int(gap))
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	var want []byte
	if gap == 16 || gap == 24 {
		want = le.AppendUint32(want, descriptorSig)
	}
	want = le.AppendUint32(want, m.head.crc)
	if gap <= 16 {
		if m.head.compressed > max32 || m.head.size > max32 {
			return badZip(m.name, "the data descriptor is too short for the file's size")
		}
		want = le.AppendUint32(want, uint32(m.head.compressed))
		want = le.AppendUint32(want, uint32(m.head.size))
	} else {
		want = le.AppendUint64(want, uint64(m.head.compressed))
		want = le.AppendUint64(want, uint64(m.head.size))
	}
	if !bytes.Equal(got, want) {
		return badZip(m.name, "the data descriptor disagrees with the zip's directory")
	}
	return nil
}

// clip shortens a name that is not the format's for a message.
func clip(name string) string {
	const limit = 80
	if len(name) > limit {
		name = name[:limit]
	}
	return strings.ToValidUTF8(name, "?")
}
