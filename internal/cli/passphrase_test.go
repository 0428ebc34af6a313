package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPassphrase makes an installation whose master key is nowhere, and starts
// it again with and without the passphrase.
func TestPassphrase(t *testing.T) {
	const passphrase = "correct horse battery staple"
	credentials := t.TempDir()
	credential := filepath.Join(credentials, "strongroom-passphrase")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(credential, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(passphrase)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	s := newSite(t, map[string]any{"master_key_from": "passphrase"})
	s.space("care", "clinic")
	ctx := t.Context()
	if err := s.client().Do(ctx, "POST", "/teams/apps", map[string]string{"name": "intake", "team": "care", "space": "clinic"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.client().Do(ctx, "PATCH", "/apps/intake/config-vars", map[string]string{"GREETING": "hello"}, nil); err != nil {
		t.Fatal(err)
	}
	s.stop()

	write("incorrect horse battery staple")
	if got := s.serve(); got.code != 1 || !strings.Contains(got.err, "not the passphrase that this installation was made with") {
		t.Errorf("with another passphrase: %+v", got)
	}
	if err := os.Remove(credential); err != nil {
		t.Fatal(err)
	}
	if got := s.serve(); got.code != 1 || !strings.Contains(got.err, "there is none") {
		t.Errorf("without one: %+v", got)
	}
	write(passphrase)
	if got := s.serve(); got.code != 0 {
		t.Fatalf("with the passphrase: %+v", got)
	}
	var vars map[string]string
	if err := s.client().Do(ctx, "GET", "/apps/intake/config-vars", nil, &vars); err != nil || vars["GREETING"] != "hello" {
		t.Errorf("opened again, the config vars are %v, %v", vars, err)
	}
	if err := filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if d.Name() == "master.key" {
			t.Errorf("%s was made", path)
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(passphrase)) {
			t.Errorf("%s holds the passphrase", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestSuperviseKeepsPassphrase gives the server a descriptor, and nothing that
// others could read.
func TestSuperviseKeepsPassphrase(t *testing.T) {
	const secret = "correct horse battery staple"
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg settings
	cfg.Data, cfg.Run = t.TempDir(), t.TempDir()
	cfg.Server.MasterKeyFrom, cfg.Server.PassphraseFile = "passphrase", file
	kept, err := passphrase(cfg)
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	defer kept[0].Close()
	specs, err := platform(cfg, filepath.Join(cfg.Data, "strongroom.json"), kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		inherits := spec.Name == "server"
		if (len(spec.Files) == 1) != inherits || strings.Contains(strings.Join(spec.Env, " "), "STRONGROOM_PASSPHRASE_FD=3") != inherits {
			t.Errorf("%s: files %v, environment %v", spec.Name, spec.Files, spec.Env)
		}
		if strings.Contains(strings.Join(append(spec.Env, spec.Args...), " "), secret) {
			t.Errorf("%s: everybody can read the passphrase", spec.Name)
		}
	}
	b := make([]byte, 100)
	if n, _ := kept[0].ReadAt(b, 0); string(b[:n]) != secret {
		t.Errorf("the server would read %q", b[:n])
	}
	cfg.Server.MasterKeyFrom = ""
	if none, err := passphrase(cfg); none != nil || err != nil {
		t.Errorf("of a master key in a file: %v, %v", none, err)
	}
}
