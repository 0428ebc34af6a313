package host

import (
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// firewall: rules are as the engine loaded them. What somebody changed and the
// engine put right between two looks counts, too.
func firewall(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.firewall", Title: "The rules of the host and of each space are those that the engine loaded", Version: 1,
		Every: often, Try: c.survey(driver.AreaFirewall),
	}
}
