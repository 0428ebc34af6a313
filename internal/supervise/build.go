package supervise

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
)

// BuildID identifies the running program: the id that the Go linker put into
// it, or the digest of its file. Both sides of a control socket use it. The
// file is read through /proc/self/exe, so the answer is right even when another
// version has been installed in its place.
func BuildID() (string, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer file.Close()
	if id := linkerID(file); id != "" {
		return "go:" + id, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// linkerID returns the content of the Go build id note, "" if there is none.
func linkerID(r io.ReaderAt) string {
	program, err := elf.NewFile(r)
	if err != nil {
		return ""
	}
	section := program.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	if err != nil || len(note) < 16 || !bytes.Equal(note[12:16], []byte("Go\x00\x00")) {
		return ""
	}
	size := program.ByteOrder.Uint32(note[4:])
	if uint64(size) > uint64(len(note)-16) {
		return ""
	}
	return string(note[16 : 16+size])
}
