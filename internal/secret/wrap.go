package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/fault"
)

// KeySize of master and data keys, in bytes.
const KeySize = 32

// KeyWrapper wraps data keys under a master key: a key file or a passphrase
// here, a KMS or an HSM later. The context string is bound to the result.
type KeyWrapper interface {
	Wrap(ctx context.Context, key []byte, context string) ([]byte, error)
	Unwrap(ctx context.Context, wrapped []byte, context string) ([]byte, error)
}

type localWrapper struct{ master []byte }

func (w localWrapper) Wrap(_ context.Context, key []byte, context string) ([]byte, error) {
	return seal(w.master, key, "strongroom/wrap/1\n"+context)
}

func (w localWrapper) Unwrap(_ context.Context, wrapped []byte, context string) ([]byte, error) {
	key, err := open(w.master, wrapped, "strongroom/wrap/1\n"+context)
	if err != nil {
		return nil, fmt.Errorf("unwrap key: the master key is not the one it was wrapped with, or the wrapped key was altered: %w", err)
	}
	return key, nil
}

// CreateMasterFile writes a new random master key to path (mode 0600). It
// refuses if the file exists: overwriting a master key destroys everything.
func CreateMasterFile(path string) error {
	key := make([]byte, KeySize)
	rand.Read(key)
	return createFile(path, key)
}

// createFile writes what a master key is or is made with, once and durably.
func createFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "a master key exists already at %s", path)
	}
	if err != nil {
		return fmt.Errorf("create master key: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync master key: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// OpenMasterFile reads a master key. The file must not be readable by others.
func OpenMasterFile(path string) (KeyWrapper, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "the master key %s is readable by others (mode %04o): chmod 600 it, and treat it as exposed", path, info.Mode().Perm())
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if len(key) != KeySize {
		return nil, fault.New(fault.Invalid, "the master key %s has %d bytes instead of %d", path, len(key), KeySize)
	}
	return localWrapper{key}, nil
}

// PassphraseIterations of PBKDF2-HMAC-SHA-256 (OWASP 2023: at least 600,000).
const PassphraseIterations = 600_000

// OpenPassphrase derives the master key from a passphrase of at least 16 bytes
// and a salt of at least 16 bytes that is kept beside the data.
func OpenPassphrase(passphrase Value, salt []byte) (KeyWrapper, error) {
	if len(passphrase.Reveal()) < 16 || len(salt) < 16 {
		return nil, fault.New(fault.Invalid, "a passphrase needs at least 16 characters")
	}
	key, err := pbkdf2.Key(sha256.New, string(passphrase.Reveal()), salt, PassphraseIterations, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive master key: %w", err)
	}
	return localWrapper{key}, nil
}

// saltSize of a salt file's salt; the rest of the file is the check.
const saltSize = 32

// saltContext is what the check is wrapped for.
const saltContext = "salt file"

// CreateSaltFile makes the salt for a passphrase, with a check that tells later
// whether a passphrase is the same one. Without the file the passphrase opens
// nothing; it refuses to replace one.
func CreateSaltFile(ctx context.Context, path string, passphrase Value) error {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	w, err := OpenPassphrase(passphrase, salt)
	if err != nil {
		return err
	}
	check, err := w.Wrap(ctx, make([]byte, KeySize), saltContext)
	if err != nil {
		return err
	}
	return createFile(path, append(salt, check...))
}

// OpenSaltFile derives the master key from a passphrase and its salt file. It
// refuses any passphrase but the one that the file was made with.
func OpenSaltFile(ctx context.Context, path string, passphrase Value) (KeyWrapper, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the master key's salt: %w", err)
	}
	if len(b) <= saltSize {
		return nil, fault.New(fault.Invalid, "the master key's salt %s has %d bytes: it was altered", path, len(b))
	}
	w, err := OpenPassphrase(passphrase, b[:saltSize])
	if err != nil {
		return nil, err
	}
	if _, err := w.Unwrap(ctx, b[saltSize:], saltContext); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "this is not the passphrase that this installation was made with, or %s was altered", path)
	}
	return w, nil
}

// Derive gives a key for one purpose from a data key.
func Derive(key []byte, purpose string, size int) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, key, nil, "strongroom/derive/1\n"+purpose, size)
	if err != nil {
		return nil, fmt.Errorf("derive key for %s: %w", purpose, err)
	}
	return out, nil
}

func seal(key, plaintext []byte, aad string) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plaintext, []byte(aad)), nil
}

func open(key, ciphertext []byte, aad string) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, ciphertext, []byte(aad))
}

// gcm draws its nonces itself: 2^32 values under one data key is the bound of
// NIST SP 800-38D, far above what one scope ever seals.
func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
