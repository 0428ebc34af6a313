package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/strongroom/strongroom/internal/fault"
)

// Bounds of what is read from an archive into memory.
const (
	maxDocument = 8 << 20 // index, manifest, configuration
	maxBlobs    = 1000
)

// Archive is an image in an OCI layout in a tar file. It keeps the file open
// and reads layers from where they lie.
type Archive struct {
	file   *os.File
	spans  map[string]span // by path in the archive
	digest v1.Hash         // of the manifest
	raw    []byte          // the manifest
}

type span struct{ offset, size int64 }

// Open reads the layout of an archive that holds one image.
func Open(name string) (*Archive, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &Archive{file: f, spans: map[string]span{}}
	if err := a.load(); err != nil {
		f.Close()
		return nil, fault.Wrap(fault.Invalid, err, "%s is not an image archive of one image: %v.", path.Base(name), err)
	}
	return a, nil
}

// Close releases the file. Images taken from the archive end with it.
func (a *Archive) Close() error { return a.file.Close() }

// Digest is the digest of the image's manifest, as drivers report it.
func (a *Archive) Digest() string { return a.digest.String() }

// All is the archive itself, as engines import it, from its beginning. It ends
// with the archive.
func (a *Archive) All() io.Reader { return io.NewSectionReader(a.file, 0, math.MaxInt64) }

func (a *Archive) load() error {
	err := Walk(a.file, func(e Entry) error {
		if a.spans[key(e.Header.Name)] = (span{e.offset, e.Header.Size}); len(a.spans) > maxBlobs {
			return errors.New("it has too many members")
		}
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := a.read("index.json")
	if err != nil {
		return err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("its index lists %d images", len(index.Manifests))
	}
	a.digest = index.Manifests[0].Digest
	if a.raw, err = a.read(blobPath(a.digest)); err != nil {
		return err
	}
	if got, _, _ := v1.SHA256(bytes.NewReader(a.raw)); got != a.digest {
		return errors.New("its manifest does not have the digest that the index says")
	}
	return nil
}

func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func (a *Archive) section(name string) (*io.SectionReader, error) {
	s, ok := a.spans[name]
	if !ok {
		return nil, fmt.Errorf("%s is missing", name)
	}
	return io.NewSectionReader(a.file, s.offset, s.size), nil
}

func (a *Archive) read(name string) ([]byte, error) {
	r, err := a.section(name)
	if err != nil {
		return nil, err
	}
	if r.Size() > maxDocument {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxDocument)
	}
	return io.ReadAll(r)
}

// Image returns the image in the archive, to be read while it is open.
func (a *Archive) Image() (v1.Image, error) { return partial.CompressedToImage(archived{a}) }

// archived implements partial.CompressedImageCore.
type archived struct{ a *Archive }

func (i archived) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (i archived) RawManifest() ([]byte, error)        { return i.a.raw, nil }

func (i archived) RawConfigFile() ([]byte, error) {
	m, err := v1.ParseManifest(bytes.NewReader(i.a.raw))
	if err != nil {
		return nil, err
	}
	return i.a.read(blobPath(m.Config.Digest))
}

func (i archived) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	m, err := v1.ParseManifest(bytes.NewReader(i.a.raw))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(m.Layers, func(d v1.Descriptor) bool { return d.Digest == h })
	if at < 0 {
		return nil, fmt.Errorf("no layer %s", h)
	}
	if _, err := i.a.section(blobPath(h)); err != nil {
		return nil, err
	}
	return storedLayer{i.a, m.Layers[at], at}, nil
}

// storedLayer is a layer that lies in an archive.
type storedLayer struct {
	a    *Archive
	desc v1.Descriptor
	at   int
}

func (l storedLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l storedLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l storedLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }

func (l storedLayer) Compressed() (io.ReadCloser, error) {
	r, err := l.a.section(blobPath(l.desc.Digest))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// DiffID is taken from the configuration; the layer is not decompressed.
func (l storedLayer) DiffID() (v1.Hash, error) {
	img, err := l.a.Image()
	if err != nil {
		return v1.Hash{}, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return v1.Hash{}, err
	}
	if l.at >= len(c.RootFS.DiffIDs) {
		return v1.Hash{}, errors.New("the configuration lists fewer layers than the manifest")
	}
	return c.RootFS.DiffIDs[l.at], nil
}

// writeArchive writes img as an OCI layout, its parts in a fixed order. ref
// names it in the index, as tools that list archives show it.
func writeArchive(w io.Writer, img v1.Image, ref string) (v1.Hash, error) {
	digest, err := img.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	index, err := indexOf(img, ref)
	if err != nil {
		return v1.Hash{}, err
	}
	tw := tar.NewWriter(w)
	if err := writeDocument(tw, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return v1.Hash{}, err
	}
	if err := writeDocument(tw, "index.json", index); err != nil {
		return v1.Hash{}, err
	}
	if err := writeBlobs(tw, img); err != nil {
		return v1.Hash{}, err
	}
	return digest, tw.Close()
}

func indexOf(img v1.Image, ref string) ([]byte, error) {
	d, err := partial.Descriptor(img)
	if err != nil {
		return nil, err
	}
	d.Annotations = map[string]string{"org.opencontainers.image.ref.name": ref}
	return json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{*d}})
}

func writeBlobs(tw *tar.Writer, img v1.Image) error {
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	for _, doc := range [][]byte{raw, config} {
		h, _, _ := v1.SHA256(bytes.NewReader(doc))
		if err := writeDocument(tw, blobPath(h), doc); err != nil {
			return err
		}
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := writeLayerBlob(tw, l); err != nil {
			return err
		}
	}
	return nil
}

func writeLayerBlob(tw *tar.Writer, l v1.Layer) error {
	h, err := l.Digest()
	if err != nil {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := writeMember(tw, blobPath(h), size); err != nil {
		return err
	}
	_, err = io.Copy(tw, r)
	return err
}

func writeDocument(tw *tar.Writer, name string, content []byte) error {
	if err := writeMember(tw, name, int64(len(content))); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}

func writeMember(tw *tar.Writer, name string, size int64) error {
	return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Size: size})
}
