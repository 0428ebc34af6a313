//go:build integration

package containerd

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
)

func TestDriver(t *testing.T) {
	h := newHost(t)
	drivertest.Run(t, func(*testing.T) driver.Driver { return h.driver }, drivertest.Options{
		Image: buildImage(t), Program: drivertest.Program, UID: 1007, Patience: 30 * time.Second, Settle: time.Second,
	})
	h.wantNothingLeft()
}
