package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/internal/pack"
)

// packSizes are the lengths of the ledgers that packs are made of, to see how
// packs grow.
var packSizes = []int64{10_000, 100_000, 1_000_000}

// packFigure exports packs of a space with so many entries, in a process of its
// own for its peak memory, and verifies them as an auditor does. The peers do
// nothing but pack the same bytes, and unpack and hash them.
func packFigure(ctx context.Context, b *bench) error {
	for _, n := range packSizes {
		if n > b.entries {
			break
		}
		if err := b.packOf(ctx, n); err != nil {
			return fmt.Errorf("%d entries: %w", n, err)
		}
	}
	return nil
}

func (b *bench) packOf(ctx context.Context, n int64) error {
	s, path, err := b.built(ctx, narrow, n)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	dir, remove, err := b.dir()
	if err != nil {
		return err
	}
	defer remove()
	ledger, err := copyOf(path, dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "pack.zip")
	var exports, exporting, verifies, peaks, sizes, deflates, inflates, verifying, inflating []float64
	for range b.runs {
		x, err := exportApart(ctx, ledger, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		at := processorTime()
		verify, err1 := once(func() error { return verifyPack(ctx, content, x.Key) })()
		verifying = append(verifying, (processorTime() - at).Seconds())
		at = processorTime()
		size, inflate, err2 := unpack(content)
		inflating = append(inflating, (processorTime() - at).Seconds())
		deflate, err3 := squeeze(content)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		exports, exporting, verifies = append(exports, x.Seconds), append(exporting, x.CPU), append(verifies, verify.Seconds())
		deflates, inflates = append(deflates, deflate.Seconds()), append(inflates, inflate.Seconds())
		peaks, sizes = append(peaks, x.PeakMB), append(sizes, float64(size)/(1<<20))
	}
	label := thousands(n) + " entries"
	b.add(Result{Figure: "pack", Case: "export, " + label, Unit: "s", Peer: "deflate"}, exports, deflates, atMost(20, "≤ 20 s"))
	b.add(Result{Figure: "pack", Case: "export, processor time, " + label, Unit: "s", Peer: "deflate"}, exporting, deflates, aim{})
	b.add(Result{Figure: "pack", Case: "export, peak memory, " + label, Unit: "MB", Peer: "bytes packed"}, peaks, sizes, atMost(256, "≤ 256 MB"))
	b.add(Result{Figure: "pack", Case: "verification, " + label, Unit: "s", Peer: "inflate and SHA-256"}, verifies, inflates, ratioAtMost(2))
	b.add(Result{Figure: "pack", Case: "verification, processor time, " + label, Unit: "s", Peer: "inflate and SHA-256"}, verifying, inflating, aim{})
	return nil
}

// exportApart runs exportPack in another process.
func exportApart(ctx context.Context, ledger, file string) (x exported, err error) {
	self, err := os.Executable()
	if err != nil {
		return x, err
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, self, exportCommand, ledger, file)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return x, fmt.Errorf("export: %w: %s", err, said.String())
	}
	return x, json.Unmarshal(out.Bytes(), &x)
}

func verifyPack(ctx context.Context, content []byte, key string) error {
	r, err := pack.Verify(ctx, bytes.NewReader(content), int64(len(content)), pack.Options{Key: key})
	if err == nil && r.Verdict != pack.Verified {
		err = fmt.Errorf("the pack is %s", r.Verdict)
	}
	return err
}

// unpack inflates and hashes every member, and says how many bytes that were.
func unpack(content []byte) (size int64, took time.Duration, err error) {
	at := time.Now()
	err = each(content, func(r io.Reader) error {
		n, err := io.Copy(sha256.New(), r)
		size += n
		return err
	})
	return size, time.Since(at), err
}

// squeeze deflates every member again, and says how long that alone took.
func squeeze(content []byte) (took time.Duration, err error) {
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		return 0, err
	}
	part := make([]byte, 1<<20)
	err = each(content, func(r io.Reader) error {
		for {
			n, err := io.ReadFull(r, part)
			at := time.Now()
			if _, err := w.Write(part[:n]); err != nil {
				return err
			}
			took += time.Since(at)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	return took, errors.Join(err, w.Close())
}

// each goes through the members of a pack.
func each(content []byte, fn func(io.Reader) error) error {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(fn(r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}
