package network

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// again is how long a change by somebody else is still told of after it was told
// first, should whoever asked have been stopped before it was on record. It is
// less than the minute between two surveys: the change is over.
const again = 30 * time.Second

// tampers are the changes by somebody else that were put right since the last
// survey: whoever applies spaces puts them right within a second, and surveys are
// a minute apart.
type tampers []tamper

type tamper struct {
	text string
	told time.Time // first; zero: not yet
}

// most bounds how many are kept: the newest.
const most = driver.MaxStrays

func (t *tampers) note(what, difference string) {
	text := fmt.Sprintf("Somebody else had changed %s; it was put right at %s: %s", what, time.Now().UTC().Format(time.DateTime+" UTC"), difference)
	*t = append(*t, tamper{text: text})
	if n := len(*t); n > most {
		*t = slices.Clone((*t)[n-most:])
	}
}

// tell adds them to a survey.
func (t *tampers) tell(s *driver.Survey, space string) {
	now := time.Now()
	*t = slices.DeleteFunc(*t, func(x tamper) bool { return !x.told.IsZero() && now.Sub(x.told) > again })
	for i, x := range *t {
		s.Found(space, "rule", "%s", x.text)
		if x.told.IsZero() {
			(*t)[i].told = now
		}
	}
}

// SurveyRules compares the tables with those that were loaded, and looks for
// others in the spaces.
func (n *Network) SurveyRules(ctx context.Context, s *driver.Survey) error {
	if err := n.host.surveyRules(ctx, s); err != nil {
		return fmt.Errorf("survey the host's rules: %w", err)
	}
	for _, x := range n.all() {
		if err := x.surveyRules(ctx, s); err != nil {
			return fmt.Errorf("survey the rules of space %s: %w", x.id, err)
		}
	}
	return nil
}

func (h *host) surveyRules(ctx context.Context, s *driver.Survey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := hostTable(h.cfg.Name)
	now, err := list(ctx, name)
	if err != nil {
		return err
	}
	s.Look("", "rules and sets of the table "+name, len(now.objects))
	if now.digest != h.rules.digest {
		s.Found("", "rule", "Somebody else has changed the table %s: %s", name, difference(h.rules.objects, now.objects))
	}
	h.tampers.tell(s, "")
	return nil
}

func (s *space) surveyRules(ctx context.Context, to *driver.Survey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed || s.state.Rules == "" {
		return nil // it is on its way in or out
	}
	s.tampers.tell(to, s.id)
	if !isNS(s.netns()) {
		to.Found(s.id, "namespace", "The network namespace of the space is gone, and its rules with it.")
		return nil
	}
	return inside(s.netns(), func() error {
		now, err := list(ctx, spaceTable)
		if err != nil {
			return err
		}
		to.Look(s.id, "rules and sets of the table "+spaceTable, len(now.objects))
		if changed := s.changed(now); changed != "" {
			to.Found(s.id, "rule", "Somebody else has changed the table %s: %s", spaceTable, changed)
		}
		return otherTables(ctx, s.id, to)
	})
}

// changed says how a listing differs from what was loaded, "" if it does not.
func (s *space) changed(now listing) string {
	switch {
	case now.digest == "" || now.digest != s.state.Rules:
		return difference(s.kept, now.objects)
	case !s.pinned(now.sources):
		return "the set of addresses that its links may send from is another."
	case !s.opened.have(now.open):
		return "addresses are open that no name of its rules led to."
	}
	s.kept = now.objects
	return ""
}

// otherTables finds tables that the space's namespace should not have.
func otherTables(ctx context.Context, space string, to *driver.Survey) error {
	out, err := nft(ctx, "", "-j", "list", "tables")
	if err != nil {
		return err
	}
	var doc struct {
		NFTables []struct {
			Table *struct{ Family, Name string }
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return fmt.Errorf("nft tables: %w", err)
	}
	for _, o := range doc.NFTables {
		if t := o.Table; t != nil && (t.Family != "inet" || t.Name != spaceTable) {
			to.Found(space, "table", "There is a table %q of the family %q in the space's namespace.", t.Name, t.Family)
		}
	}
	return nil
}

// difference says what is in one listing and not in the other, in words.
func difference(before, now []string) string {
	switch {
	case before == nil:
		return "it is not as the engine that ran before had loaded it."
	case len(now) == 0:
		return "all of it was deleted."
	}
	var words []string
	for _, x := range less(before, now) {
		words = append(words, "missing: "+inWords(x))
	}
	for _, x := range less(now, before) {
		words = append(words, "added: "+inWords(x))
	}
	if len(words) == 0 {
		return "the order of its rules is another."
	}
	return strings.Join(words, "; ") + "."
}

// less is what remains of a when all of b is taken from it.
func less(a, b []string) (out []string) {
	count := map[string]int{}
	for _, x := range b {
		count[x]++
	}
	for _, x := range a {
		if count[x]--; count[x] < 0 {
			out = append(out, x)
		}
	}
	return out
}

// inWords names an object of a listing as nft writes it, without what all have
// in common.
func inWords(object string) string {
	const most = 200
	var doc map[string]map[string]any
	if json.Unmarshal([]byte(object), &doc) != nil {
		return object[:min(len(object), most)]
	}
	for kind, body := range doc {
		text := kind
		if chain, ok := body["chain"].(string); ok {
			text += " of chain " + chain
		}
		if name, ok := body["name"].(string); ok {
			text += " " + name
		}
		for _, known := range []string{"family", "table", "chain", "name"} {
			delete(body, known)
		}
		var rest any = body
		if kind == "rule" {
			rest = body["expr"]
		}
		b, _ := json.Marshal(rest) // it was JSON
		text += " " + string(b)
		return text[:min(len(text), most)]
	}
	return "nothing"
}
