package host

import (
	"context"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// logins: who was on the host is known. Root's terminals are seen while they are
// there, whatever the host logs; logins of the last day only where it does.
func logins(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.logins", Title: "Nobody is root on the host, nor was in the last day, without a reason given", Version: 1,
		Every: often, Try: func(ctx context.Context) ([]compliance.Result, error) {
			out, err := c.survey(driver.AreaShells)(ctx)
			if err != nil {
				return nil, err
			}
			s, err := c.Engine.Survey(ctx, driver.AreaLogins)
			var r compliance.Result
			switch {
			case fault.Of(err) == fault.Unavailable:
				r = compliance.Result{Status: document.StatusUnknown, Facts: []string{fault.Message(err)}}
			case err != nil:
				return nil, err
			default:
				r = judge(s.Parts[0])
			}
			return append(out, r.Of("", "log", "the host's log of logins")), nil
		},
	}
}
