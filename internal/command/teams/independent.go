package teams

import (
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Independent tells whether a member can be the second person for what someone
// did: another person, whose account was made neither by the someone nor by an
// account that goes back to them, and who holds no role by such hands alone.
func Independent(v store.View, m *document.Member, of string) (bool, error) {
	if m.Account == of {
		return false, nil
	}
	acct, err := store.Get[*document.Account](v, m.Account)
	if fault.Of(err) == fault.NotFound {
		return false, nil
	}
	if err != nil || acct.Suspended {
		return false, err
	}
	if creature, err := madeBy(v, m.Account, of); creature || err != nil {
		return false, err
	}
	for _, g := range m.GrantedBy {
		theirs, err := handsOf(v, g, of)
		if theirs || err != nil {
			return false, err
		}
	}
	return true, nil
}

// second tells whether a member can decide what someone asked for: an asker
// whom the member made would say what the member wants.
func second(v store.View, m *document.Member, asker string) (bool, error) {
	ok, err := Independent(v, m, asker)
	if !ok || err != nil {
		return false, err
	}
	puppet, err := madeBy(v, asker, m.Account)
	return !puppet, err
}

// handsOf tells whether everybody who gave a role is someone or goes back to
// them.
func handsOf(v store.View, g document.Grant, of string) (bool, error) {
	for _, hand := range []string{g.By, g.Approver} {
		if hand == "" || hand == of {
			continue
		}
		if theirs, err := madeBy(v, hand, of); !theirs || err != nil {
			return false, err
		}
	}
	return g.By != "" || g.Approver != "", nil
}

// madeBy tells whether an account was made by someone, or by an account that
// they made, however long the chain.
func madeBy(v store.View, account, someone string) (bool, error) {
	for seen := map[string]bool{}; account != "" && !seen[account]; {
		seen[account] = true
		doc, err := v.Get(document.KindAccount, account)
		if err != nil {
			return false, err
		}
		a, ok := doc.(*document.Account)
		if !ok {
			return false, nil
		}
		if a.CreatedBy == someone {
			return true, nil
		}
		account = a.CreatedBy
	}
	return false, nil
}
