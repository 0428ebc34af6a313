package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packed is a pack in the making.
type packed struct {
	b     bytes.Buffer
	count uint32
}

// add puts an object in; base is the name of the object that a delta changes.
func (p *packed) add(kind byte, size int64, base []byte, content io.Reader) {
	p.count++
	first, size := kind<<4|byte(size&15), size>>4
	for ; size > 0; size >>= 7 {
		p.b.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	p.b.WriteByte(first)
	p.b.Write(base)
	zw, _ := zlib.NewWriterLevel(&p.b, zlib.BestSpeed)
	io.Copy(zw, content)
	zw.Close()
}

func (p *packed) String() string {
	whole := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), p.count)
	whole = append(whole, p.b.Bytes()...)
	sum := sha1.Sum(whole)
	return string(append(whole, sum[:]...))
}

// Kinds of objects in a pack.
const (
	blobKind  = 3
	deltaKind = 7
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func size(n int64) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// deltaBomb is some kilobytes that say: this file is the one before, over and
// over again.
func deltaBomb(times int64) string {
	const base = 1 << 20
	name := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", base), make([]byte, base)...))
	delta := append(size(base), size(base*times)...)
	for range times {
		delta = append(delta, 0x80|0x40, base>>16) // copy from 0 the whole base
	}
	var p packed
	p.add(blobKind, base, nil, io.LimitReader(zeros{}, base))
	p.add(deltaKind, int64(len(delta)), name[:], bytes.NewReader(delta))
	return p.String()
}

// A pack of a few kilobytes must not make git take gigabytes of memory.
func TestDeltaBomb(t *testing.T) {
	s := newSite(t, Config{MaxObject: 64 << 20})
	bomb := deltaBomb(4000)
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	_, answer, err := s.post(strings.NewReader(command("refs/heads/main")+bomb), "")
	if err != nil || !strings.Contains(answer, "over limit 67108864") || strings.Contains(answer, "unpack ok") {
		t.Errorf("%v: %q", err, answer)
	}
	s.wantUntouched()
	// What is within the bound is only refused for what the push says of it.
	if _, answer, err := s.post(strings.NewReader(command("refs/heads/main")+deltaBomb(10)), ""); err != nil || strings.Contains(answer, "over limit") {
		t.Errorf("%v: %q", err, answer)
	}
	s.must("push", s.url("intake", "right"), "main")
}

// A pack that inflates for long is given up, however little was sent.
func TestInflatingBomb(t *testing.T) {
	s := newSite(t, Config{UnpackTimeout: 200 * time.Millisecond})
	var p packed
	const inflated = 2 << 30
	p.add(blobKind, inflated, nil, io.LimitReader(zeros{}, inflated))
	bomb := p.String()
	began := time.Now()
	_, answer, err := s.post(strings.NewReader(command("refs/heads/main")+bomb), "")
	if err != nil || !strings.Contains(answer, "takes longer than 200ms to unpack") || !strings.Contains(answer, "the push was refused") {
		t.Errorf("%v: %q", err, answer)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	s.wantUntouched()
	s.must("push", s.url("intake", "right"), "main")
}

// The time that a slow client takes is its own affair.
func TestSlowClientMayUnpack(t *testing.T) {
	s := newSite(t, Config{UnpackTimeout: 300 * time.Millisecond})
	slow, w := io.Pipe()
	go func() {
		defer w.Close()
		bomb := deltaBomb(1)
		for _, part := range []string{command("refs/heads/main"), bomb[:len(bomb)/2], bomb[len(bomb)/2:]} {
			time.Sleep(500 * time.Millisecond)
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}()
	if _, answer, err := s.post(slow, ""); err != nil || strings.Contains(answer, "takes longer") {
		t.Errorf("%v: %q", err, answer)
	}
}

// wantUntouched: nothing was deployed, and nothing of a push is left.
func (s *site) wantUntouched() {
	s.t.Helper()
	if s.deployer.count() != 0 || s.at("refs/heads/main") != "" {
		s.t.Error("it deployed")
	}
	objects := filepath.Join(s.handler.root, appID+".git", "objects")
	left, _ := filepath.Glob(filepath.Join(objects, "*", "*"))
	more, _ := filepath.Glob(filepath.Join(objects, "*objdir*"))
	if left = append(left, more...); len(left) != 0 {
		s.t.Errorf("objects are left: %v", left)
	}
}
