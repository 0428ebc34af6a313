package host

import (
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// mounts: a volume is seen by the engine and by the containers that it was made
// for, and nowhere else.
func mounts(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.mounts", Title: "Volumes are mounted where the engine mounted them and nowhere else", Version: 1,
		Every: often, Try: c.survey(driver.AreaMounts),
	}
}
