package evidence

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// write writes the pack and returns the manifest's digest.
func (p *export) write(out io.Writer, g *gathered) (digest string, err error) {
	w, err := pack.Create(out, p.manifest())
	if err != nil {
		return "", err
	}
	defer w.Stop()
	if err := w.AddCheckpoint(p.signed); err != nil {
		return "", err
	}
	if p.stamp != nil {
		if err := w.AddStamp(p.stamp); err != nil {
			return "", err
		}
	}
	if err := w.AddKeys(p.cfg.Installation.LogKey); err != nil {
		return "", err
	}
	if err := p.writeEntries(w, g); err != nil {
		return "", err
	}
	if err := p.writeProof(w); err != nil {
		return "", err
	}
	if err := p.writeReports(w, g); err != nil {
		return "", err
	}
	if err := p.writeBlobs(w, g.blobs); err != nil {
		return "", err
	}
	return w.Close(p.cfg.Signer)
}

func (p *export) manifest() pack.Manifest {
	m := pack.Manifest{
		Installation: p.cfg.Installation.ID, Scope: pack.Asked{Spaces: p.pack.Spaces}, Period: p.period,
		CreatedAt: pack.Time{Time: p.cfg.Now().UTC()}, Program: p.cfg.Program, Simulated: p.cfg.Installation.Simulated,
		BlobsLeftOut: []pack.LeftOut{},
	}
	for _, s := range p.scopes {
		if s == "" {
			m.Scopes = append(m.Scopes, nil)
			continue
		}
		m.Scopes = append(m.Scopes, &s)
	}
	return m
}

// writeEntries reads the entries once. It writes the bodies and gathers what they
// come to; the headers wait until the bodies have ended.
func (p *export) writeEntries(w *pack.Writer, g *gathered) error {
	bodies, err := w.AddBodies()
	if err != nil {
		return err
	}
	var line []byte
	in := &entries{export: p, ranges: slices.Clone(p.ranges)}
	err = ledger.Stream(p.ctx, in.fill, func(l *ledger.Line) error {
		if err := damage(l); err != nil {
			return err
		}
		line = append(append(line[:0], l.Header...), '\n')
		if _, err := g.headers.Write(line); err != nil || l.Framed == nil {
			return err
		}
		line = pack.AppendBodyLine(line[:0], l.Seq, l.Salt, l.Body())
		if _, err := bodies.Write(line); err != nil {
			return err
		}
		return g.add(l, p.inPeriod(l.Seq))
	})
	if err != nil {
		return err
	}
	if err := g.end(); err != nil {
		return err
	}
	headers, err := w.AddHeaders()
	if err != nil {
		return err
	}
	return g.headers.copyTo(headers)
}

func (p *export) writeProof(w *pack.Writer) error {
	proof, err := ledger.ProveRanges(p.ranges, p.checkpoint.Size, p.cfg.Store.Hashes(p.ctx))
	if err != nil {
		return fmt.Errorf("prove the ranges: %w", err)
	}
	if err := w.AddRangeProof(p.ranges, proof); err != nil || p.since == nil {
		return err
	}
	grew, err := ledger.ProveConsistency(p.checkpoint.Size, p.since.Size, p.cfg.Store.Hashes(p.ctx))
	if err != nil {
		return fmt.Errorf("prove that the log only grew: %w", err)
	}
	return w.AddConsistency(p.since.Size, grew)
}

// writeReports writes each provable CSV, and the readable pages made from the
// same rows.
func (p *export) writeReports(w *pack.Writer, g *gathered) error {
	var index []pack.Report
	for _, r := range g.reports {
		out, err := w.Add(r.CSV)
		if err != nil {
			return err
		}
		if err := r.text.copyTo(out); err != nil {
			return fmt.Errorf("report %s: %w", r.Name, err)
		}
		index = append(index, r.Report)
	}
	if err := w.AddReports(index); err != nil {
		return err
	}
	return p.writePages(w, g)
}

// shownRoles are the blobs that hold no PHI by their nature.
var shownRoles = []string{"sbom", "provenance"}

// recordedRoles may hold PHI: they come along only when that was asked for.
var recordedRoles = []string{"recording", "command"}

func (p *export) writeBlobs(w *pack.Writer, blobs map[string]blobRef) error {
	for _, digest := range slices.Sorted(maps.Keys(blobs)) {
		b := blobs[digest]
		var err error
		switch {
		case slices.Contains(shownRoles, b.role), p.request.Recordings && slices.Contains(recordedRoles, b.role):
			err = p.writeBlob(w, digest, b)
		case slices.Contains(recordedRoles, b.role):
			err = w.LeaveOut(digest, "recordings and command lines may hold PHI and were not asked for")
		default:
			err = w.LeaveOut(digest, b.role+": not part of the pack")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *export) writeBlob(w *pack.Writer, digest string, b blobRef) error {
	in, err := p.cfg.Blobs.Get(p.ctx, b.scope, digest)
	if fault.Of(err) == fault.NotFound {
		return w.LeaveOut(digest, "no longer in the blob store")
	}
	if err != nil {
		return fmt.Errorf("blob of entry %d: %w", b.at, err)
	}
	defer in.Close()
	out, err := w.AddBlob(digest)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("blob of entry %d: %w", b.at, err)
	}
	return nil
}
