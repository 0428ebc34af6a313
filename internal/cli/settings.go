package cli

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/strongroom/strongroom/internal/engine"
	"github.com/strongroom/strongroom/internal/server"
)

// settings are those of all processes of an installation, in one file. Data
// and Run hold for both parts.
type settings struct {
	Data   string         `json:"data"`
	Run    string         `json:"run"`
	Server server.Config  `json:"server"`
	Engine engineSettings `json:"engine"`
}

// engineSettings are the engine's that an operator sets.
type engineSettings struct {
	Name      string   `json:"name"`
	HTTPS     string   `json:"https"`
	HTTP      string   `json:"http"`
	Upstreams []string `json:"upstreams"`
	// ScratchBytes is reserved in each space for what its containers write.
	ScratchBytes int64 `json:"scratch_bytes"`
}

// readSettings reads the file and brings the shared settings to both parts.
func readSettings(path string, log *slog.Logger) (settings, error) {
	var s settings
	if err := readConfig(path, &s); err != nil {
		return s, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&0o004 != 0 {
		log.Warn("every user of this host can read the settings, in which a proxy's address may hold a password", "file", path, "mode", info.Mode().Perm())
	}
	s.Data = cmp.Or(s.Data, "/var/lib/strongroom")
	s.Run = cmp.Or(s.Run, "/run/strongroom")
	s.Server.Data, s.Server.Run, s.Server.Version = s.Data, s.Run, Version
	s.Server.Settings = path
	s.Server.EdgeHTTPS, s.Server.EdgeHTTP = s.Engine.HTTPS, s.Engine.HTTP
	return s, nil
}

// giveSettings leaves the settings to root, who writes them, and to the server,
// which reads them as its own user.
func giveSettings(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // all defaults
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // a pipe's or a device's mode is not ours to change
	}
	return errors.Join(os.Chown(path, 0, engine.ServerUID), os.Chmod(path, 0o640))
}

func (s settings) engine() engine.Config {
	return engine.Config{
		Data: s.Data, Run: s.Run, Name: s.Engine.Name, HTTPS: s.Engine.HTTPS, HTTP: s.Engine.HTTP, Upstreams: s.Engine.Upstreams,
		ScratchBytes: s.Engine.ScratchBytes,
	}
}
