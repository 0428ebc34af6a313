package pack

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Writer writes a pack to a stream, file by file. The same files with the same
// manifest give the same bytes.
type Writer struct {
	zip      *zip.Writer
	manifest Manifest
	names    map[string]bool // in lower case
	open     *fileWriter     // the file being written
	chunks   [2][]byte       // of the open file: one is gathered while the other is packed
}

// Create begins a pack. Format and Files of the manifest are set by the Writer,
// everything else by the caller.
func Create(w io.Writer, m Manifest) (*Writer, error) {
	m.Format, m.Files = Format, nil
	if m.BlobsLeftOut == nil {
		m.BlobsLeftOut = []LeftOut{}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	z := zip.NewWriter(w)
	// Files are written one after the other, so one compressor does for all.
	compressor, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		compressor.Reset(w)
		return compressor, nil
	})
	names := map[string]bool{manifestPath: true, signaturePath: true}
	return &Writer{zip: z, manifest: m, names: names}, nil
}

// Stop waits for what is being written, so that nothing more is written after
// it. Who does not get as far as Close calls it; after Close it does nothing.
func (w *Writer) Stop() {
	if w.open != nil {
		w.open.packing.Wait()
	}
}

// Add begins the file of that path and ends the one before. The writer is valid
// until the next call of Add or Close.
func (w *Writer) Add(path string) (io.Writer, error) {
	if !validPath(path) {
		return nil, fault.New(fault.Invalid, "a pack cannot hold a file named %.80q", path)
	}
	if w.names[strings.ToLower(path)] {
		return nil, fault.New(fault.Conflict, "the pack already holds a file named %.80q", path)
	}
	w.names[strings.ToLower(path)] = true
	if err := w.endFile(); err != nil {
		return nil, err
	}
	out, err := w.create(path)
	if err != nil {
		return nil, err
	}
	w.open = &fileWriter{out: out, sum: sha256.New(), path: path, chunks: &w.chunks}
	return w.open, nil
}

// AddBytes adds a whole file.
func (w *Writer) AddBytes(path string, content []byte) error {
	out, err := w.Add(path)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}

// AddJSON adds v as JSON.
func (w *Writer) AddJSON(path string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return w.AddBytes(path, content)
}

// AddCheckpoint adds the checkpoint, a signed note, that all is proved against.
func (w *Writer) AddCheckpoint(signed []byte) error { return w.AddBytes(checkpointPath, signed) }

// AddStamp adds a time stamp of the checkpoint's text: a token of RFC 3161.
func (w *Writer) AddStamp(token []byte) error { return w.AddBytes(stampPath, token) }

// AddKeys adds the log's verifier keys, for information.
func (w *Writer) AddKeys(vkeys ...string) error {
	keys := []Key{}
	for _, vkey := range vkeys {
		name, _, _ := strings.Cut(vkey, "+")
		keys = append(keys, Key{Name: name, Key: vkey})
	}
	return w.AddJSON(keysPath, keys)
}

// AddHeaders begins ledger/headers, one header and a newline for every entry of
// the ranges.
func (w *Writer) AddHeaders() (io.Writer, error) { return w.Add(headersPath) }

// AddBodies begins ledger/bodies, the lines of AppendBodyLine.
func (w *Writer) AddBodies() (io.Writer, error) { return w.Add(bodiesPath) }

// AddRangeProof adds the proof made by ledger.ProveRanges.
func (w *Writer) AddRangeProof(ranges []ledger.Range, proof []tlog.Hash) error {
	p := RangeProof{Ranges: []Bounds{}, Proof: fromHashes(proof)}
	for _, r := range ranges {
		p.Ranges = append(p.Ranges, Bounds{r.From, r.To})
	}
	return w.AddJSON(rangePath, p)
}

// AddConsistency adds the proof that the checkpoint extends one over from entries.
func (w *Writer) AddConsistency(from int64, proof tlog.TreeProof) error {
	return w.AddJSON(consistencyPath, Consistency{From: from, Proof: fromHashes(proof)})
}

// AddReports adds reports/index.json.
func (w *Writer) AddReports(reports []Report) error {
	if reports == nil {
		reports = []Report{}
	}
	return w.AddJSON(reportsPath, reports)
}

// AddBlob begins the bulk evidence of that digest, sha256:<hex>.
func (w *Writer) AddBlob(digest string) (io.Writer, error) {
	if _, err := ledger.ParseDigest(digest); err != nil {
		return nil, err
	}
	return w.Add(blobsPrefix + strings.TrimPrefix(digest, "sha256:"))
}

// LeaveOut records that a blob that an entry names is not in the pack.
func (w *Writer) LeaveOut(digest, reason string) error {
	if _, err := ledger.ParseDigest(digest); err != nil {
		return err
	}
	w.manifest.BlobsLeftOut = append(w.manifest.BlobsLeftOut, LeftOut{SHA256: digest, Reason: reason})
	return nil
}

// Close writes the manifest and its signature and ends the zip. It returns the
// manifest's digest, which the ledger records.
func (w *Writer) Close(signers ...note.Signer) (digest string, err error) {
	if len(signers) == 0 {
		return "", errors.New("sign manifest: no signer")
	}
	if err := w.endFile(); err != nil {
		return "", err
	}
	sortFiles(w.manifest.Files)
	content, err := json.Marshal(&w.manifest)
	if err != nil {
		return "", fmt.Errorf("encode manifest: %w", err)
	}
	if len(content) > maxManifest {
		return "", fault.New(fault.TooLarge, "the pack has too many files: its manifest would exceed 16 MiB")
	}
	digest = ledger.FormatDigest(sha256.Sum256(content))
	signed, err := note.Sign(&note.Note{Text: signedText(w.manifest.Installation, digest)}, signers...)
	if err != nil {
		return "", fmt.Errorf("sign manifest: %w", err)
	}
	if err := w.writeFile(manifestPath, content); err != nil {
		return "", err
	}
	if err := w.writeFile(signaturePath, signed); err != nil {
		return "", err
	}
	if err := w.zip.Close(); err != nil {
		return "", fmt.Errorf("end of pack: %w", err)
	}
	return digest, nil
}

func (w *Writer) endFile() error {
	f := w.open
	if f == nil {
		return nil
	}
	if err := f.end(); err != nil {
		return err
	}
	w.manifest.Files = append(w.manifest.Files,
		File{Path: f.path, SHA256: ledger.FormatDigest([32]byte(f.sum.Sum(nil))), Bytes: f.bytes})
	w.open = nil
	return nil
}

func (w *Writer) writeFile(path string, content []byte) error {
	out, err := w.create(path)
	if err != nil {
		return err
	}
	if _, err := out.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (w *Writer) create(path string) (io.Writer, error) {
	h := &zip.FileHeader{Name: path, Method: zip.Deflate, Modified: w.manifest.CreatedAt.UTC().Truncate(time.Second)}
	h.SetMode(0o644)
	out, err := w.zip.CreateHeader(h)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return out, nil
}
