package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// Installed is what whoever sets an installation up must know.
type Installed struct {
	ID          string       // of the installation
	LogKey      string       // verifier key: belongs into the auditor's engagement letter
	Fingerprint string       // of the log key
	Email       string       // of the first operator
	Token       secret.Value // the operator's, shown once
	CA          string       // file of the certificate authority of the API
}

// Init makes an installation in an empty data directory: keys, certificate,
// ledger, first operator. It refuses where there is one.
func Init(ctx context.Context, cfg Config, email string, log *slog.Logger) (*Installed, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	if cfg.MasterKeyFrom == FromPassphrase {
		var err error
		if cfg.given, err = cfg.passphrase(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(cfg.ledgerPath()); err == nil {
		return nil, fault.New(fault.Conflict, "There is an installation in %s already.", cfg.Data)
	}
	for _, dir := range []string{"server/tls", "secrets", "anchor", "images"} {
		if err := os.MkdirAll(filepath.Join(cfg.Data, dir), 0o700); err != nil {
			return nil, fmt.Errorf("make the data directory: %w", err)
		}
	}
	id := uuid.NewString()
	vkey, err := makeKeys(ctx, cfg, id)
	if err != nil {
		return nil, err
	}
	in := &Installed{ID: id, LogKey: vkey, Fingerprint: ledger.Fingerprint(vkey), CA: cfg.tlsPath("ca.pem")}
	return in, begin(ctx, cfg, in, email, log)
}

// makeKeys writes the master key, the log's key, the key that signs builds and
// the API's certificate.
func makeKeys(ctx context.Context, cfg Config, id string) (vkey string, err error) {
	if err := createMaster(ctx, cfg); err != nil {
		return "", err
	}
	skey, vkey, err := ledger.GenerateKey(rand.Reader, ledger.Origin(id, 1))
	if err != nil {
		return "", fmt.Errorf("make the log's key: %w", err)
	}
	_, build, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make the build key: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(build)
	if err != nil {
		return "", fmt.Errorf("make the build key: %w", err)
	}
	return vkey, errors.Join(
		os.WriteFile(cfg.logKeyPath(), []byte(skey+"\n"), 0o600),
		os.WriteFile(cfg.buildKeyPath(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600),
		makeCertificate(cfg),
	)
}

// begin appends entry 0 and gives the first operator a token.
func begin(ctx context.Context, cfg Config, in *Installed, email string, log *slog.Logger) error {
	wrapper, err := openMaster(ctx, cfg)
	if err != nil {
		return err
	}
	st, err := sqlite.Create(ctx, cfg.ledgerPath(), log)
	if err != nil {
		return err
	}
	defer st.Close()
	k := control.New(control.Config{Store: st, Keyring: secret.NewKeyring(wrapper, st), Log: log})
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- k.Run(run) }()
	err = firstEntries(ctx, k, cfg, in, email)
	stop()
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	return anchor(ctx, cfg, in, st, log)
}

// anchor signs the first checkpoint, so that an anchor is never empty again: a
// server that finds none has lost it.
func anchor(ctx context.Context, cfg Config, in *Installed, st *sqlite.Store, log *slog.Logger) error {
	signer, _, err := newSigner(cfg, in.ID, 1, in.LogKey)
	if err != nil {
		return err
	}
	_, _, err = (&control.Checkpoints{Store: st, Signer: signer, Log: log}).Sign(ctx)
	return err
}

func firstEntries(ctx context.Context, k *control.Kernel, cfg Config, in *Installed, email string) error {
	by := control.System("installer", ledger.ViaCLI)
	create := &installation.Create{ID: in.ID, Name: cfg.Host, LogKey: in.LogKey, Version: cfg.Version, Email: email}
	if _, err := k.Execute(ctx, create, by); err != nil {
		return err
	}
	token := &people.CreateToken{Account: create.Account, Description: "first operator"}
	if _, err := k.Execute(ctx, token, by); err != nil {
		return err
	}
	in.Email, in.Token = create.Email, token.Secret
	return nil
}

// makeCertificate makes a certificate authority of the installation's own and
// the API's certificate. Whoever has a certificate from elsewhere puts it in
// their place.
func makeCertificate(cfg Config) error {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the API's certificate: %w", err)
	}
	ca := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Strongroom installation"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return fmt.Errorf("make the API's certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the API's certificate: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: cfg.Host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		DNSNames:    []string{cfg.Host, "api." + cfg.Host, "data." + cfg.Host, "git." + cfg.Host, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return fmt.Errorf("make the API's certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make the API's certificate: %w", err)
	}
	// The authority's key is dropped: it signs this one certificate.
	return errors.Join(
		os.WriteFile(cfg.tlsPath("ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o644),
		os.WriteFile(cfg.tlsPath("cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(cfg.tlsPath("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600),
	)
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
