package blob

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

const keySize = 32

// installation is the directory of blobs without a scope. It is no UUID, so no
// scope can have it.
const installation = "installation"

// scopeKeys are what a scope's data key is turned into: one key to wrap the
// keys of files, one to name the files.
type scopeKeys struct {
	dir  string // of the scope, inside the store's
	wrap cipher.AEAD
	name []byte
}

func (s *Store) scopeKeys(ctx context.Context, scope *string) (scopeKeys, error) {
	dir := installation
	if scope != nil {
		if dir = *scope; !isUUID(dir) {
			return scopeKeys{}, invalidScope()
		}
	}
	data, err := s.keys.DataKey(ctx, scope)
	if err != nil {
		return scopeKeys{}, err
	}
	if len(data) != keySize {
		return scopeKeys{}, fmt.Errorf("data key of %d bytes, want %d", len(data), keySize)
	}
	return deriveKeys(dir, data)
}

func deriveKeys(dir string, data []byte) (scopeKeys, error) {
	wrapKey, err := hkdf.Key(sha256.New, data, nil, "strongroom blob wrap v1", keySize)
	if err != nil {
		return scopeKeys{}, fmt.Errorf("derive wrap key: %w", err)
	}
	name, err := hkdf.Key(sha256.New, data, nil, "strongroom blob name v1", keySize)
	if err != nil {
		return scopeKeys{}, fmt.Errorf("derive name key: %w", err)
	}
	wrap, err := newAEAD(wrapKey)
	if err != nil {
		return scopeKeys{}, err
	}
	return scopeKeys{dir: dir, wrap: wrap, name: name}, nil
}

// fileName of the blob with this digest.
func (k scopeKeys) fileName(digest string) string {
	mac := hmac.New(sha256.New, k.name)
	mac.Write([]byte(digest))
	return hex.EncodeToString(mac.Sum(nil))
}

// newAEAD returns AES-256-GCM that draws its own nonces and puts them before
// the ciphertext: the only form of GCM that FIPS 140-3 enforcement lets pass.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aes: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// parseDigest returns the bytes of "sha256:<hex>", strictly.
func parseDigest(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size || strings.ToLower(digits) != digits {
		return nil, fault.New(fault.Invalid, "A digest is written sha256: and 64 lower-case hex digits.")
	}
	return sum, nil
}

func formatDigest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// isUUID is strict because a scope becomes the name of a directory.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		digit := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !digit {
			return false
		}
	}
	return true
}

func invalidScope() error {
	return fault.New(fault.Invalid, "A scope is a UUID in lower case.")
}
