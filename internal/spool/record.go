package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// A segment is the magic, then records:
//
//	u32 length of the payload, u32 CRC-32C of the payload, payload
//
// and a payload is
//
//	u64 id, i64 time in ns, u8 length + source, u8 length + dyno, text
//
// all little endian. Ids grow from record to record.
const (
	magic         = "SRLOG1\r\n"
	recordHeader  = 8
	payloadHeader = 8 + 8 + 1 + 1
	maxName       = 100 // of source and dyno
	maxPayload    = payloadHeader + 2*maxName + maxText
)

// record is a stored line. Its slices belong to whoever decoded it.
type record struct {
	id     uint64
	time   int64
	source []byte
	dyno   []byte
	text   []byte
}

// errTorn says that bytes are not a whole, intact record.
var errTorn = errors.New("not an intact record")

// appendRecord encodes a line at the end of dst. The caller keeps to the limits.
func appendRecord(dst []byte, id uint64, at time.Time, source, dyno string, text []byte) []byte {
	head := len(dst)
	dst = append(dst, make([]byte, recordHeader)...)
	dst = binary.LittleEndian.AppendUint64(dst, id)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at.UnixNano()))
	dst = append(dst, byte(len(source)))
	dst = append(dst, source...)
	dst = append(dst, byte(len(dyno)))
	dst = append(dst, dyno...)
	dst = append(dst, text...)
	payload := dst[head+recordHeader:]
	binary.LittleEndian.PutUint32(dst[head:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[head+4:], checksum(payload))
	return dst
}

func checksum(payload []byte) uint32 {
	return crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))
}

// payloadSize returns the size that a record's header states.
func payloadSize(header []byte) (int, error) {
	n := binary.LittleEndian.Uint32(header)
	if n < payloadHeader || n > maxPayload {
		return 0, errTorn
	}
	return int(n), nil
}

// decodeRecord reads a record that begins at b[0] and is all of b. What it
// returns points into b.
func decodeRecord(b []byte) (record, error) {
	if len(b) < recordHeader+payloadHeader {
		return record{}, errTorn
	}
	n, err := payloadSize(b)
	payload := b[recordHeader:]
	if err != nil || n != len(payload) || checksum(payload) != binary.LittleEndian.Uint32(b[4:]) {
		return record{}, errTorn
	}
	r := record{
		id:   binary.LittleEndian.Uint64(payload),
		time: int64(binary.LittleEndian.Uint64(payload[8:])),
	}
	var ok bool
	if r.source, payload, ok = prefixed(payload[16:]); !ok {
		return record{}, errTorn
	}
	if r.dyno, r.text, ok = prefixed(payload); !ok {
		return record{}, errTorn
	}
	return r, nil
}

// prefixed takes a string with its length before it off b.
func prefixed(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// line is the record as callers see it.
func (r record) line() driver.LogLine {
	return driver.LogLine{
		ID: formatID(r.id), Time: time.Unix(0, r.time).UTC(),
		Source: string(r.source), Dyno: string(r.dyno), Text: string(r.text),
	}
}

// formatID writes ids so that they sort as text.
func formatID(id uint64) string { return fmt.Sprintf("%016x", id) }

func parseID(s string) (uint64, error) {
	if len(s) != 16 {
		return 0, fmt.Errorf("log line id %q: not 16 hexadecimal digits", s)
	}
	return strconv.ParseUint(s, 16, 64)
}
