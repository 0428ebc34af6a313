package document

import "time"

// KindStranger is that of the connections from outside that a space refused.
const KindStranger Kind = "stranger"

// Stranger is how many connections to a space were refused for one reason, and
// who was the last.
type Stranger struct {
	Base
	Space string    `json:"space"`
	Why   string    `json:"why"`  // as the engine has it
	Host  string    `json:"host"` // the domain; "" where that was not looked at
	Count int64     `json:"count"`
	Last  time.Time `json:"last"` // when the last one was counted
	From  string    `json:"from"` // address of the last one; "" where it is not kept
	// Counted is what the engine's own counter said when Count was made.
	Counted int64 `json:"counted"`
}

// Kind is KindStranger.
func (*Stranger) Kind() Kind { return KindStranger }

// Keys finds strangers by space.
func (s *Stranger) Keys() []Key { return []Key{{"space", s.Space}} }

// Within is the space.
func (s *Stranger) Within() string { return s.Space }

// Same tells whether two are of one reason and domain.
func (s *Stranger) Same(o *Stranger) bool { return s.Why == o.Why && s.Host == o.Host }
