package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// exportCommand is how the bench calls itself to export a pack.
const exportCommand = "export-pack"

// exported is what the exporting process says.
type exported struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // seconds of processor time
	PeakMB  float64 `json:"peak_mb"`
	Key     string  `json:"key"` // the log's
}

// exportPack exports all that the ledger's one space holds to a file.
func exportPack(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(stderr, "usage: bench "+exportCommand+" LEDGER FILE")
		return 2
	}
	x, err := exportTo(context.Background(), args[0], args[1])
	if err == nil {
		err = json.NewEncoder(stdout).Encode(x)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func exportTo(ctx context.Context, path, file string) (x exported, err error) {
	s, err := sqlite.Open(ctx, path, quiet)
	if err != nil {
		return x, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// Long ledgers end later than now: the export is a minute after their end.
	began := time.Now()
	end, err := s.Head(ctx)
	if err != nil {
		return x, err
	}
	now := func() time.Time { return end.Time.Add(time.Minute + time.Since(began)) }
	k := control.New(control.Config{Store: s, Log: quiet, Now: now})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- k.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-done) }()

	cfg := evidence.Config{Store: s, Kernel: k, Program: "bench", Now: now, Temp: filepath.Join(filepath.Dir(file), "reports")}
	if cfg.Programme, err = builtin.Programme(builtin.Reach{}); err != nil {
		return x, err
	}
	if err := sign(&cfg, filepath.Dir(file)); err != nil {
		return x, err
	}
	x.Key = cfg.Installation.LogKey
	out, err := os.Create(file)
	if err != nil {
		return x, err
	}
	defer out.Close()
	at, used := time.Now(), processorTime()
	by := control.By{Actor: person(0), Via: ledger.ViaCLI}
	q := evidence.Request{Space: spaceName(0), From: epoch.Add(-time.Hour), To: now()}
	if err := evidence.New(cfg).Export(ctx, by, q, func(string) io.Writer { return out }); err != nil {
		return x, err
	}
	x.Seconds, x.CPU = time.Since(at).Seconds(), (processorTime() - used).Seconds()
	x.PeakMB, err = peakMemory()
	return x, err
}

// sign gives the exporter a key of its own, and a place for checkpoints and
// blobs: a new one each time, in the figure's directory.
func sign(cfg *evidence.Config, dir string) error {
	cfg.Installation = &document.Installation{Base: base('i', 0), Name: "bench"}
	skey, vkey, err := ledger.GenerateKey(rand.Reader, ledger.Origin(cfg.Installation.ID, 1))
	if err != nil {
		return err
	}
	cfg.Installation.LogKey = vkey
	if cfg.Signer, err = note.NewSigner(skey); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, "export-")
	if err != nil {
		return err
	}
	signer, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: ledger.Origin(cfg.Installation.ID, 1), Anchor: ledger.NewFileAnchor(filepath.Join(temp, "anchor")),
		Signers: []note.Signer{cfg.Signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		return err
	}
	cfg.Checkpoints = &control.Checkpoints{Store: cfg.Store, Signer: signer, Log: quiet}
	master := filepath.Join(temp, "master.key")
	if err := secret.CreateMasterFile(master); err != nil {
		return err
	}
	wrapper, err := secret.OpenMasterFile(master)
	if err != nil {
		return err
	}
	cfg.Blobs, err = blob.Open(filepath.Join(temp, "blobs"), secret.NewKeyring(wrapper, cfg.Store))
	return err
}

// peakMemory is the most that the process had in memory, in MB.
func peakMemory() (mb float64, err error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			_, err := fmt.Sscan(kb, &mb)
			return mb / 1024, err
		}
	}
	return 0, errors.New("the kernel does not tell the peak of memory")
}
