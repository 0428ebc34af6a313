package view

import (
	"strings"

	"github.com/strongroom/strongroom/internal/document"
)

// Build makes a slug from source (Heroku: build).
type Build struct {
	App             Only           `json:"app"`
	Buildpacks      []BuildpackRef `json:"buildpacks"`
	CreatedAt       Time           `json:"created_at"`
	ID              string         `json:"id"`
	OutputStreamURL string         `json:"output_stream_url"`
	SourceBlob      SourceBlob     `json:"source_blob"`
	Release         *Only          `json:"release"`
	Slug            *Only          `json:"slug"`
	Stack           string         `json:"stack"`
	Status          string         `json:"status"`
	UpdatedAt       Time           `json:"updated_at"`
	User            User           `json:"user"`
}

// BuildpackRef names a buildpack.
type BuildpackRef struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// SourceBlob says which source was built. Source comes by git here, so there is
// nothing to fetch.
type SourceBlob struct {
	Checksum           *string `json:"checksum"`
	URL                string  `json:"url"`
	Version            *string `json:"version"`
	VersionDescription *string `json:"version_description"`
}

// OfBuild shows a build; release is the id of what it released, output the
// address of its log, "" where there is none.
func (s Site) OfBuild(b *document.Build, a *document.App, release, output string) Build {
	out := Build{
		App: Only{a.ID}, CreatedAt: Time(b.CreatedAt), ID: b.ID, OutputStreamURL: output,
		SourceBlob: SourceBlob{URL: s.GitURL(a), Version: text(b.Commit)},
		Stack:      a.Stack, Status: b.Status, UpdatedAt: Time(b.UpdatedAt), User: userOf(b.By, b.ByEmail),
	}
	if b.Buildpack != "" {
		out.Buildpacks = []BuildpackRef{{b.Buildpack, b.Buildpack}}
	}
	if b.Slug != "" {
		out.Slug = &Only{b.Slug}
	}
	if release != "" {
		out.Release = &Only{release}
	}
	return out
}

// Slug is a built image (Heroku: slug).
type Slug struct {
	Blob struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"blob"`
	Buildpack         *string           `json:"buildpack_provided_description"`
	Checksum          *string           `json:"checksum"`
	Commit            *string           `json:"commit"`
	CommitDescription *string           `json:"commit_description"`
	CreatedAt         Time              `json:"created_at"`
	ID                string            `json:"id"`
	ProcessTypes      map[string]string `json:"process_types"`
	Size              *int64            `json:"size"`
	Stack             Ref               `json:"stack"`
	UpdatedAt         Time              `json:"updated_at"`
}

// OfSlug shows a slug. Slugs are not handed out, so their blob has no address.
func OfSlug(sl *document.Slug, stack string) Slug {
	out := Slug{
		Checksum: text(strings.Replace(sl.Image, "sha256:", "SHA256:", 1)), Commit: text(sl.Commit),
		CreatedAt: Time(sl.CreatedAt), ID: sl.ID, ProcessTypes: map[string]string{}, Size: &sl.Size,
		Stack: builtIn("stack", stack), UpdatedAt: Time(sl.UpdatedAt),
	}
	out.Blob.Method = "GET"
	for _, p := range sl.Processes {
		out.ProcessTypes[p.Type] = p.Command
	}
	return out
}

// Release is a slug with a config, numbered (Heroku: release). Approval is
// ours: what the release waits for.
type Release struct {
	AddonPlanNames      []string   `json:"addon_plan_names"`
	Artifacts           []Artifact `json:"artifacts"`
	App                 Ref        `json:"app"`
	CreatedAt           Time       `json:"created_at"`
	Description         string     `json:"description"`
	ID                  string     `json:"id"`
	UpdatedAt           Time       `json:"updated_at"`
	Slug                *Only      `json:"slug"`
	Status              string     `json:"status"`
	User                User       `json:"user"`
	Version             int        `json:"version"`
	Current             bool       `json:"current"`
	OutputStreamURL     *string    `json:"output_stream_url"`
	EligibleForRollback bool       `json:"eligible_for_rollback"`
	Strongroom          *Approval  `json:"strongroom,omitempty"`
}

// Artifact is what a release runs.
type Artifact struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Approval is what Heroku's release does not know: the true state, who
// approved, and what the release is made of.
type Approval struct {
	Status     string         `json:"status"`
	Required   int            `json:"approvals_required"`
	Approvals  []ApprovalNote `json:"approvals"`
	Commit     string         `json:"commit"`
	Image      string         `json:"image"`
	SBOM       string         `json:"sbom"`
	Provenance string         `json:"provenance"`
	Replaces   int            `json:"replaces"`
	Rollback   int            `json:"rollback_to"`
	LiveAt     *Time          `json:"live_at"`
	Emergency  bool           `json:"emergency"`
	Alone      *Alone         `json:"alone"`
}

// Alone is who let a release go live in an emergency and why, and who reviewed
// that afterwards.
type Alone struct {
	User   User          `json:"user"`
	At     Time          `json:"at"`
	Reason string        `json:"reason"`
	Review *ApprovalNote `json:"review"`
}

// ApprovalNote is one person's yes.
type ApprovalNote struct {
	User User   `json:"user"`
	At   Time   `json:"at"`
	Note string `json:"note"`
}

// ReleaseContext is what a release refers to.
type ReleaseContext struct {
	App    *document.App
	Plans  []string // of the add-ons attached to the app
	Output string   // address of the release phase's output, or ""
}

// OfRelease shows a release.
func OfRelease(r *document.Release, c ReleaseContext) Release {
	out := Release{
		AddonPlanNames: append([]string{}, c.Plans...), Artifacts: []Artifact{}, App: Ref{c.App.ID, c.App.Name},
		CreatedAt: Time(r.CreatedAt), Description: r.Description, ID: r.ID, UpdatedAt: Time(r.UpdatedAt),
		Status: herokuStatus(r.Status), User: userOf(r.By, r.ByEmail), Version: r.Version, Current: r.Current,
		OutputStreamURL: text(c.Output), EligibleForRollback: EligibleForRollback(r), Strongroom: ofApproval(r),
	}
	if r.Status == document.ReleaseWaiting {
		out.Description += " (waits for approval)"
	}
	if r.Slug != "" {
		out.Slug = &Only{r.Slug}
		out.Artifacts = append(out.Artifacts, Artifact{"slug", r.Slug})
	}
	return out
}

func ofApproval(r *document.Release) *Approval {
	out := &Approval{
		Status: r.Status, Required: r.Required, Approvals: []ApprovalNote{}, Commit: r.Commit, Image: r.Image,
		SBOM: r.SBOM, Provenance: r.Provenance, Replaces: r.Replaces, Rollback: r.Rollback, LiveAt: maybe(r.LiveAt),
		Emergency: r.Emergency, Alone: ofAlone(r.Alone),
	}
	for _, a := range r.Approvals {
		out.Approvals = append(out.Approvals, ofNote(a))
	}
	return out
}

func ofNote(a document.Approval) ApprovalNote {
	return ApprovalNote{User{a.By, a.Email}, Time(a.At), a.Note}
}

func ofAlone(a *document.Alone) *Alone {
	if a == nil {
		return nil
	}
	out := &Alone{User: User{a.By, a.Email}, At: Time(a.At), Reason: a.Reason}
	if a.Review != nil {
		note := ofNote(*a.Review)
		out.Review = &note
	}
	return out
}

// herokuStatus gives a state the word that Heroku's clients know.
func herokuStatus(status string) string {
	if status == document.ReleaseWaiting {
		return document.ReleasePending
	}
	return status
}

// EligibleForRollback tells whether a release can be rolled back to: it was
// live once and is not now.
func EligibleForRollback(r *document.Release) bool {
	return !r.Current && r.Status == document.ReleaseSucceeded && r.Slug != ""
}
