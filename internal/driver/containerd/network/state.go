package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// installation is what the kernel cannot tell of the host's side.
type installation struct {
	Pool      netip.Prefix `json:"pool"`
	Block     int          `json:"block"`     // which block of the pool's upper half is ours
	Forwarded []string     `json:"forwarded"` // interfaces whose forwarding we switched on
}

// spaceState is what the kernel cannot tell of a space.
type spaceState struct {
	Space   Space     `json:"space"`
	Private []Private `json:"private"`
	Script  string    `json:"script"` // digest of the script last loaded, without counters and sources
	Rules   string    `json:"rules"`  // digest of what the kernel made of it
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file in one step. It is not synced: Dir does not need
// to outlive the kernel.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// lockDir makes sure that one process at a time works on dir. The lock ends
// with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fault.New(fault.Conflict, "Another process works on the networks in %s.", dir)
	}
	return nil, fmt.Errorf("lock %s: %w", dir, err)
}
