package view

import "github.com/strongroom/strongroom/internal/document"

// AppLinks says which apps of a space reach each other.
type AppLinks struct {
	Mode  string    `json:"mode"` // any: every app reaches every other; listed: only these
	Links []AppLink `json:"links"`
}

// AppLink lets the processes of one app connect to those of another.
type AppLink struct {
	From      Ref    `json:"from"`
	To        Ref    `json:"to"`
	Reason    string `json:"reason"`
	CreatedBy string `json:"created_by"`
	CreatedAt Time   `json:"created_at"`
}

// OfAppLinks shows the links between apps that there still are.
func OfAppLinks(sp *document.Space, apps []*document.App) AppLinks {
	out := AppLinks{Mode: "any", Links: []AppLink{}}
	if sp.Linked {
		out.Mode = "listed"
	}
	names := map[string]Ref{}
	for _, a := range apps {
		names[a.ID] = Ref{a.ID, a.Name}
	}
	for _, l := range sp.Links {
		from, ok := names[l.From]
		to, both := names[l.To]
		if ok && both {
			out.Links = append(out.Links, AppLink{from, to, l.Reason, l.By, Time(l.At)})
		}
	}
	return out
}
