package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/compliance/host"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// recordStart puts on record what this server runs, if it is not what ran before.
func (p *parts) recordStart(ctx context.Context) error {
	program, err := digestOf("/proc/self/exe") // also if another lies in its place by now
	if err != nil {
		return fmt.Errorf("the running program: %w", err)
	}
	settings, err := settingsDigest(p.cfg.Settings)
	if err != nil {
		return err
	}
	cmd := &installation.RecordStart{Program: program, Settings: settings}
	if _, err := p.kernel.Execute(ctx, cmd, control.System("server", ledger.ViaScheduler)); err != nil && fault.Of(err) != fault.Conflict {
		return fmt.Errorf("record the start: %w", err)
	}
	return nil
}

// installed is what a start would put on record now.
func (p *parts) installed() (now host.Installed, err error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return now, err
	}
	if now.Program, err = digestOf(strings.TrimSuffix(exe, " (deleted)")); errors.Is(err, fs.ErrNotExist) {
		now.Program, err = "none", nil
	}
	if err != nil {
		return now, err
	}
	now.Settings, err = settingsDigest(p.cfg.Settings)
	return now, err
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// settingsDigest is of the settings without the passwords that addresses of
// proxies and registries may hold: who has all but those could find them out from
// a digest of everything. "none" stands for no file: all is default then.
func settingsDigest(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return "none", nil
	}
	if err != nil {
		return "", fmt.Errorf("the settings: %w", err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		v = "not settings" // whatever the rest may hold is not told by a digest either
	}
	canonical, err := json.Marshal(withoutPasswords(v))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func withoutPasswords(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = withoutPasswords(x)
		}
	case []any:
		for i, x := range v {
			v[i] = withoutPasswords(x)
		}
	case string:
		if u, err := url.Parse(v); err == nil && u.User != nil {
			u.User = nil
			return u.String()
		}
	}
	return v
}
