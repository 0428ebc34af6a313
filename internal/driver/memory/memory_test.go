package memory

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"go.uber.org/goleak"
)

func TestDriver(t *testing.T) {
	defer goleak.VerifyNone(t)
	d := New(Config{Policy: formation.Policy{Base: time.Hour, Max: time.Hour}})
	drivertest.Run(t, func(t *testing.T) driver.Driver { return d }, drivertest.Options{
		Image: drivertest.Layout(t, []byte("a goroutine needs no program")), Program: drivertest.Program,
		UID: 7, Patience: 5 * time.Second, Settle: 50 * time.Millisecond, Names: true,
		Intrude: func(_ *testing.T, area, space string) func() { return d.Intrude(area, space, "test", "made by hand") },
	})
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
