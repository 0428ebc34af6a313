package attempt

import "github.com/strongroom/strongroom/internal/probe"

// otherSpaceDatabase: no process of another space reaches a database.
var otherSpaceDatabase = neighbours("attempt.other-space-database", "No other space reaches a database of the space", probe.Database)
