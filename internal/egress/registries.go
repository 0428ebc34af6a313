package egress

// Registries are where the tools of languages, and Debian's, fetch packages from
// unless they are told otherwise.
var Registries = []string{
	"registry.npmjs.org", "registry.yarnpkg.com",
	"pypi.org", "files.pythonhosted.org",
	"rubygems.org", "index.rubygems.org",
	"proxy.golang.org", "sum.golang.org",
	"repo.maven.apache.org", "repo1.maven.org",
	"index.crates.io", "static.crates.io",
	"repo.packagist.org", "api.nuget.org",
	"deb.debian.org", "security.debian.org",
}
