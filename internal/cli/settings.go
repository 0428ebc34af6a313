package cli

import "github.com/strongroom/strongroom/internal/server"

// settings are those of all processes of an installation, in one file.
type settings struct {
	Server server.Config `json:"server"`
}
