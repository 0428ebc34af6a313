package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// Where the master key comes from.
const (
	FromFile       = "file"
	FromPassphrase = "passphrase"
)

// PassphraseFD names the variable that holds the number of an inherited file
// descriptor with the passphrase. The number is no secret; the passphrase
// itself is in no environment, no argument and no setting.
const PassphraseFD = "STRONGROOM_PASSPHRASE_FD"

// passphraseCredential is the credential's name where systemd passes it
// (LoadCredential=, LoadCredentialEncrypted=).
const passphraseCredential = "strongroom-passphrase"

const maxPassphrase = 4 << 10

// createMaster makes what the master key is kept in or derived with. One that
// is there already is used.
func createMaster(ctx context.Context, cfg Config) error {
	var err error
	if cfg.MasterKeyFrom == FromPassphrase {
		var passphrase secret.Value
		if passphrase, err = cfg.passphrase(); err == nil {
			err = secret.CreateSaltFile(ctx, cfg.saltPath(), passphrase)
		}
	} else {
		err = secret.CreateMasterFile(cfg.MasterKey)
	}
	if fault.Of(err) == fault.Conflict {
		return nil
	}
	return err
}

// openMaster gives the master key of an installation. A passphrase that is not
// the right one is refused here, before anything is served.
func openMaster(ctx context.Context, cfg Config) (secret.KeyWrapper, error) {
	if cfg.MasterKeyFrom != FromPassphrase {
		return secret.OpenMasterFile(cfg.MasterKey)
	}
	passphrase, err := cfg.passphrase()
	if err != nil {
		return nil, err
	}
	return secret.OpenSaltFile(ctx, cfg.saltPath(), passphrase)
}

// passphrase is read once a process: init needs it twice, and an inherited
// descriptor is closed after the first time, so that no child gets it.
func (c *Config) passphrase() (secret.Value, error) {
	if len(c.given.Reveal()) > 0 {
		return c.given, nil
	}
	return ReadPassphrase(c.PassphraseFile)
}

// ReadPassphrase reads the passphrase from the first of these that there is: an
// inherited descriptor, the service's credential directory, the file. A line
// end at its end does not count.
func ReadPassphrase(file string) (secret.Value, error) {
	f, err := openPassphrase(file)
	if err != nil {
		return secret.Value{}, err
	}
	defer f.Close()
	b := make([]byte, maxPassphrase+1)
	// Whoever passes a descriptor to one process after the other, as supervise
	// does, shares its position with them: it is not moved where it need not be.
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, unix.ESPIPE) {
		n, err = io.ReadFull(f, b)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return secret.Value{}, fmt.Errorf("read the passphrase: %w", err)
	}
	for n > 0 && (b[n-1] == '\n' || b[n-1] == '\r') {
		n--
	}
	if n == 0 || n > maxPassphrase {
		return secret.Value{}, fault.New(fault.Invalid, "The passphrase is empty or has more than %d bytes.", maxPassphrase)
	}
	return secret.NewValue(b[:n:n]), nil
}

func openPassphrase(file string) (*os.File, error) {
	if s := os.Getenv(PassphraseFD); s != "" {
		fd, err := strconv.Atoi(s)
		if err != nil || fd < 0 {
			return nil, fault.New(fault.Invalid, "%s is not the number of a file descriptor.", PassphraseFD)
		}
		return os.NewFile(uintptr(fd), "passphrase"), nil
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		f, err := os.Open(filepath.Join(dir, passphraseCredential))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	if file == "" {
		return nil, fault.New(fault.Invalid, "The master key comes from a passphrase, and there is none: pass it as the credential %s, on the descriptor that %s names, or in the file that passphrase_file names.", passphraseCredential, PassphraseFD)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("the passphrase: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "the passphrase file %s is readable by others (mode %04o): chmod 600 it, and treat the passphrase as exposed", file, info.Mode().Perm())
	}
	return os.Open(file)
}
