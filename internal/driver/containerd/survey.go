package containerd

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// Survey implements driver.Driver.
func (d *Driver) Survey(ctx context.Context, area string) (*driver.Survey, error) {
	ctx = d.with(ctx)
	switch area {
	case driver.AreaContainers:
		return twice(ctx, d.surveyContainers)
	case driver.AreaMounts:
		return twice(ctx, d.surveyMounts)
	case driver.AreaFirewall:
		return d.surveyNetwork(ctx, area, d.cfg.Network.SurveyRules)
	case driver.AreaNetwork:
		return twice(ctx, func(ctx context.Context) (*driver.Survey, error) {
			return d.surveyNetwork(ctx, area, d.cfg.Network.SurveyLinks)
		})
	}
	if look := d.cfg.Looks[area]; look != nil {
		return twice(ctx, func(ctx context.Context) (*driver.Survey, error) {
			s := driver.NewSurvey(area)
			return s, look(ctx, s)
		})
	}
	return nil, fault.New(fault.NotFound, "This engine does not look at %q.", area)
}

// between is how far apart two looks are: longer than anything is on its way in
// or out, short beside the minute between surveys.
const between = 2 * time.Second

// twice looks again if it found something, and keeps what both looks found:
// while containers start and end, parts of them are where they do not belong.
func twice(ctx context.Context, look func(context.Context) (*driver.Survey, error)) (*driver.Survey, error) {
	first, err := look(ctx)
	if err != nil || first.Clean() {
		return first, err
	}
	select {
	case <-time.After(between):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	second, err := look(ctx)
	if err != nil {
		return nil, err
	}
	second.Confirm(first)
	return second, nil
}

// newSurvey has a part for each space.
func (d *Driver) newSurvey(area string) *driver.Survey {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := driver.NewSurvey(area)
	for _, id := range slices.Sorted(maps.Keys(d.spaces)) {
		s.Add(id, d.spaces[id].Name)
	}
	return s
}

func (d *Driver) surveyNetwork(ctx context.Context, area string, survey func(context.Context, *driver.Survey) error) (*driver.Survey, error) {
	s := d.newSurvey(area)
	return s, survey(ctx, s)
}
