package host

import (
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// containers: nothing runs in or beside containers that the engine did not start.
func containers(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.containers", Title: "No container and no process in one that the engine did not start", Version: 1,
		Every: often, Try: c.survey(driver.AreaContainers),
	}
}
