package releases

import (
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// maxAuthors bounds the addresses that a build keeps. Those of accounts come
// first: only an account can approve.
const maxAuthors = 100

// authors are the addresses of those who are named as makers of what a push
// brings, and of those who pushed parts of it before: a push that waited may be
// part of a later one. Names in commits are claims; who pushed is known.
func authors(v store.View, app *document.App, claimed, parts []string) ([]string, error) {
	seen := map[string]bool{}
	var known, others []string
	add := func(address string) error {
		email, err := document.CleanEmail(address)
		if err != nil || seen[email] {
			return nil // no account has such an address
		}
		seen[email] = true
		accounts, err := store.Find[*document.Account](v, "email", email)
		if len(accounts) > 0 {
			known = append(known, email)
		} else if len(others) < maxAuthors {
			others = append(others, email)
		}
		return err
	}
	for _, e := range claimed {
		if err := add(e); err != nil {
			return nil, err
		}
	}
	part := map[string]bool{}
	for _, c := range parts {
		part[c] = true
	}
	builds, err := store.Find[*document.Build](v, "app", app.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range builds {
		if part[b.Commit] {
			if err := add(b.ByEmail); err != nil {
				return nil, err
			}
		}
	}
	list := append([]string{}, known...)
	if room := maxAuthors - len(known); room > 0 {
		list = append(list, others[:min(room, len(others))]...)
	}
	slices.Sort(list)
	return list, nil
}
