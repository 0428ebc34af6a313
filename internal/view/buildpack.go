package view

import "strings"

// buildpackURN begins the address of a buildpack that has a name here.
const buildpackURN = "urn:buildpack:"

// BuildpackInstallation is a buildpack that an app's next builds use (Heroku:
// buildpack-installation).
type BuildpackInstallation struct {
	Ordinal   int       `json:"ordinal"`
	Buildpack Buildpack `json:"buildpack"`
}

// Buildpack is the place of one.
type Buildpack struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// OfBuildpacks shows an app's list.
func OfBuildpacks(list []string) []BuildpackInstallation {
	out := []BuildpackInstallation{}
	for i, b := range list {
		out = append(out, BuildpackInstallation{i, Buildpack{BuildpackURL(b), b}})
	}
	return out
}

// BuildpackURL is how the heroku CLI wants a buildpack's name written.
func BuildpackURL(name string) string {
	if strings.Contains(name, "://") {
		return name
	}
	return buildpackURN + name
}

// BuildpackName takes back what BuildpackURL did.
func BuildpackName(url string) string { return strings.TrimPrefix(url, buildpackURN) }
