package host

import (
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// dataFiles: what lies below the data directory, whose it is and who may read it
// is as the platform made it.
func dataFiles(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.data-files", Title: "The data directory holds what the platform keeps there, as it made it", Version: 1,
		Every: seldom, Try: c.survey(driver.AreaFiles),
	}
}
