package gateway

import (
	"bytes"
	"unicode/utf8"
)

// marker is what the client's command prints at its end, followed by the exit
// status in digits. The client looks for both in what it reads at a time.
const marker = "\uFFFF heroku-command-exit-status: "

// maxStatus bounds the digits: more of them are no exit status.
const maxStatus = 10

// cut divides output into what goes out in one write each: a marker with its
// status and the end of its line is a segment of its own. The last keep bytes
// are in no segment: a marker or a character may begin there, and what follows
// decides. With final nothing follows, and keep is 0.
func cut(b []byte, final bool) (segments [][]byte, keep int) {
	for {
		at := bytes.Index(b, []byte(marker))
		if at < 0 {
			break
		}
		end, whole := markerEnd(b[at:])
		if !whole && !final {
			return appendSegment(segments, b[:at]), len(b) - at
		}
		segments = appendSegment(segments, b[:at])
		segments = appendSegment(segments, b[at:at+end])
		b = b[at+end:]
	}
	if !final {
		keep = max(markerBegun(b), charBegun(b))
	}
	return appendSegment(segments, b[:len(b)-keep]), keep
}

func appendSegment(segments [][]byte, b []byte) [][]byte {
	if len(b) == 0 {
		return segments
	}
	return append(segments, b)
}

// markerEnd returns the length of the marker that b begins with, its status and
// line end included, and whether what would change it may still come.
func markerEnd(b []byte) (end int, whole bool) {
	end = len(marker)
	for end < len(b) && end < len(marker)+maxStatus && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	if end == len(marker)+maxStatus {
		return end, true
	}
	rest := b[end:]
	switch {
	case len(rest) == 0 || string(rest) == "\r":
		return len(b), false
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return end + 2, true
	case rest[0] == '\n':
		return end + 1, true
	}
	return end, true
}

// markerBegun returns how many bytes at the end of b are the beginning of a marker.
func markerBegun(b []byte) int {
	for n := min(len(marker)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == marker[:n] {
			return n
		}
	}
	return 0
}

// charBegun returns how many bytes at the end of b are the beginning of a
// character in UTF-8.
func charBegun(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
