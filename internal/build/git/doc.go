// Package git receives and serves apps' repositories over git's smart HTTP
// protocol, at /<app>.git/…, with the git command behind it.
//
// A push to main or master deploys: the pre-receive hook hands it to a
// Deployer and shows the build's output to the pusher; a failed deploy rejects
// the push, so that the branch always is what was deployed. A pusher who goes
// away does not end a deploy that has begun.
//
// Invariants: who may read or write is decided by the Gate before anything is
// opened; git runs without the server's environment and with no configuration
// but what is given here; input is bounded and checked by git's fsck; one push
// per app at a time. The server mounts Handler; nothing here knows of apps.
package git
