package cli

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/evidence/reader"
)

type evidenceVerifier struct {
	output
	file string
}

func newEvidenceVerifier(s streams) *cobra.Command {
	o := &evidenceVerifier{output{streams: s}, "verifier.html"}
	c := &cobra.Command{
		Use: "evidence:verifier [FILE]", GroupID: "evidence",
		Short: "Write the verifier that runs in a browser, and print its digest",
		Long: `Writes a page that checks evidence packs in a browser, from disk and with the
network off (FILE is verifier.html unless given), and prints its SHA-256. The
same program always writes the same bytes. If the file exists, it is compared
and never written over.

The index.html of a pack holds the same script, but a verifier that came with a
pack proves nothing about that pack.`,
		Example: `  strongroom evidence:verifier
  strongroom evidence:verifier /media/usb/verifier.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("one FILE at most")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.file = args[0]
			}
			return o.run()
		},
	}
	o.flag(c)
	return c
}

func (o *evidenceVerifier) run() error {
	r, err := reader.New()
	if err != nil {
		return err
	}
	page, err := r.Page()
	if err != nil {
		return err
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(page))
	if err := writeOrCompare(o.file, page); err != nil {
		return err
	}
	return o.show(map[string]any{"file": o.file, "sha256": digest, "bytes": len(page)}, func() { o.say("%s  %s", digest, o.file) })
}

// writeOrCompare writes a file that does not exist, and wants one that does to
// hold just these bytes.
func writeOrCompare(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return compare(file, content)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func compare(file string, content []byte) error {
	there, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(there, content) {
		return fmt.Errorf("%s exists and is not the page that this program writes: its SHA-256 is %x, the page's %x", file, sha256.Sum256(there), sha256.Sum256(content))
	}
	return nil
}
