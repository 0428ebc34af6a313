package attempt

import "github.com/strongroom/strongroom/internal/probe"

// otherSpaceDyno: no process of another space reaches a dyno.
var otherSpaceDyno = neighbours("attempt.other-space-dyno", "No other space reaches a dyno of the space", probe.Dyno)
