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

const packEntries = 100_000

// packFigure exports a pack of a space with 100,000 entries, in a process of its
// own for its peak memory, and verifies it as an auditor does. The peers do
// nothing but pack the same bytes, and unpack and hash them.
func packFigure(ctx context.Context, b *bench) error {
	s, path, err := b.built(ctx, narrow, packEntries)
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
	var exports, verifies, peaks, sizes, deflates, inflates []float64
	for range b.runs {
		x, err := exportApart(ctx, ledger, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		verify, err1 := once(func() error { return verifyPack(ctx, content, x.Key) })()
		members, inflate, err2 := unpack(content)
		deflate, err3 := once(func() error { return squeeze(members) })()
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		exports, verifies = append(exports, x.Seconds), append(verifies, verify.Seconds())
		deflates, inflates = append(deflates, deflate.Seconds()), append(inflates, inflate.Seconds())
		peaks, sizes = append(peaks, x.PeakMB), append(sizes, float64(len(members))/(1<<20))
	}
	label := thousands(packEntries) + " entries"
	b.add(Result{Figure: "pack", Case: "export, " + label, Unit: "s", Peer: "deflate"}, exports, deflates, aim{})
	b.add(Result{Figure: "pack", Case: "export, peak memory", Unit: "MB", Peer: "bytes packed"}, peaks, sizes, aim{})
	b.add(Result{Figure: "pack", Case: "verification, " + label, Unit: "s", Peer: "inflate and SHA-256"}, verifies, inflates, aim{})
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

// unpack inflates and hashes every member, and gives their bytes.
func unpack(content []byte) (all []byte, took time.Duration, err error) {
	at := time.Now()
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, 0, err
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, 0, err
		}
		member, err := io.ReadAll(r)
		if err != nil {
			return nil, 0, err
		}
		sha256.Sum256(member)
		all = append(all, member...)
	}
	return all, time.Since(at), nil
}

func squeeze(content []byte) error {
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Close())
}
