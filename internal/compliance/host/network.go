package host

import (
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/driver"
)

// network: spaces and containers have the links and addresses that the engine
// gave them.
func network(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.network", Title: "Network namespaces, links and addresses are those that the engine made", Version: 1,
		Every: often, Try: c.survey(driver.AreaNetwork),
	}
}
