package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// NewKey mints a P-256 key for SSH: a bastion's host key, or the key that opens a
// tunnel to one person for one moment. The private key is PEM in OpenSSH's form,
// which is what `heroku pg:psql` expects; ssh.ParsePrivateKey reads it.
func NewKey(comment string) (private []byte, public ssh.PublicKey, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	public, err = ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("public key: %w", err)
	}
	return pem.EncodeToMemory(block), public, nil
}

// Algorithms that FIPS 140-3 approves and that both OpenSSH and the heroku CLI
// know. No SHA-1, no finite-field groups, no 25519, no ChaCha20.

func keyExchanges() []string {
	return []string{ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521}
}

func macs() []string {
	return []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}
}

func keyAlgorithms() []string {
	return []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}
}

// ciphers leaves out GCM where the Go module enforces FIPS 140-3: x/crypto/ssh
// chooses its nonces in a way that is approved but that the module cannot see.
func ciphers() []string {
	ctr := []string{ssh.CipherAES256CTR, ssh.CipherAES128CTR}
	if fips140.Enforced() {
		return ctr
	}
	return append([]string{ssh.CipherAES256GCM, ssh.CipherAES128GCM}, ctr...)
}
