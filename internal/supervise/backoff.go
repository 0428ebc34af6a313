package supervise

import "time"

// settled is how long a child must have been up for its next end to count as
// the first one: as long as the longest pause, so that a child that ends again
// and again is down for no more than half of the time.
const settled = 5 * time.Second

// backoff yields the pause before each restart: none after the first end, more
// after each one that follows soon.
type backoff struct {
	ends int
}

// next returns the pause after a run that lasted up.
func (b *backoff) next(up time.Duration) time.Duration {
	if up >= settled {
		b.ends = 0
	}
	b.ends++
	switch b.ends {
	case 1:
		return 0
	case 2:
		return 100 * time.Millisecond
	case 3:
		return 500 * time.Millisecond
	case 4:
		return time.Second
	default:
		return 5 * time.Second
	}
}
