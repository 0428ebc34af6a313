package memory

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/strongroom/strongroom/internal/fault"
)

// maxImage bounds an import.
const maxImage = 1 << 30

// ImportImage implements driver.Driver: it checks the layout's digests and
// remembers the image's name.
func (d *Driver) ImportImage(_ context.Context, archive io.Reader) (string, error) {
	var index struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	blobs := map[string]bool{}
	in := tar.NewReader(io.LimitReader(archive, maxImage))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fault.Wrap(fault.Invalid, err, "The image archive cannot be read.")
		}
		if err := readEntry(path.Clean(h.Name), in, &index, blobs); err != nil {
			return "", err
		}
	}
	if len(index.Manifests) != 1 || !blobs[index.Manifests[0].Digest] {
		return "", fault.New(fault.Invalid, "The archive is not an OCI layout with one image.")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.images[index.Manifests[0].Digest] = true
	return index.Manifests[0].Digest, nil
}

func readEntry(name string, in io.Reader, index any, blobs map[string]bool) error {
	if name == "index.json" {
		if err := json.NewDecoder(in).Decode(index); err != nil {
			return fault.Wrap(fault.Invalid, err, "The image's index cannot be read.")
		}
		return nil
	}
	if dir, hex := path.Split(name); dir == "blobs/sha256/" {
		sum := sha256.New()
		if _, err := io.Copy(sum, in); err != nil {
			return fault.Wrap(fault.Invalid, err, "The image archive cannot be read.")
		}
		if fmt.Sprintf("%x", sum.Sum(nil)) != hex {
			return fault.New(fault.Invalid, "The image's blob %s does not have that digest.", hex)
		}
		blobs["sha256:"+hex] = true
	}
	return nil
}
