package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest identifies a desired value, so that a reconciler can tell from an
// observation whether what it wants is in force without seeing secrets again.
func Digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		// Only values of this package are passed, and they all marshal.
		panic(fmt.Sprintf("driver: digest of %T: %v", v, err))
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
