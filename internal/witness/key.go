package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"filippo.io/torchwood"

	"github.com/strongroom/strongroom/internal/fault"
)

// keyType is that of cosignature/v1.
const keyType = 0x04

// privatePrefix begins a signer key, as golang.org/x/mod/sumdb/note writes them.
const privatePrefix = "PRIVATE+KEY+"

// newKey makes a witness's key. The first string is secret.
func newKey(name string) (skey, vkey string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make the witness's key: %w", err)
	}
	s, err := torchwood.NewCosignatureSigner(name, key)
	if err != nil || len(name) > 200 {
		return "", "", fault.New(fault.Invalid, "%.80q cannot name a witness: a name has no spaces and no plus sign, such as witness.example.org", name)
	}
	seed := base64.StdEncoding.EncodeToString(append([]byte{keyType}, key.Seed()...))
	return fmt.Sprintf("%s%s+%08x+%s", privatePrefix, name, s.KeyHash(), seed), s.Verifier().String(), nil
}

// openKey reads what newKey made.
func openKey(skey string) (*torchwood.CosignatureSigner, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(skey), privatePrefix)
	parts := strings.Split(rest, "+")
	if !ok || len(parts) < 3 {
		return nil, fault.New(fault.Invalid, "the witness's key is malformed")
	}
	// Base64 may contain plus signs, a name may not.
	seed, err := base64.StdEncoding.Strict().DecodeString(strings.Join(parts[2:], "+"))
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != keyType {
		return nil, fault.New(fault.Invalid, "the witness's key is malformed")
	}
	s, err := torchwood.NewCosignatureSigner(parts[0], ed25519.NewKeyFromSeed(seed[1:]))
	if err != nil || fmt.Sprintf("%08x", s.KeyHash()) != parts[1] {
		return nil, fault.New(fault.Invalid, "the witness's key is malformed")
	}
	return s, nil
}
