package build

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// Types of the provenance statement and its parts.
const (
	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://slsa.dev/provenance/v1"
	buildType     = "https://strongroom.dev/build/buildpacks/v1"
)

type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type predicate struct {
	BuildDefinition struct {
		BuildType            string         `json:"buildType"`
		ExternalParameters   map[string]any `json:"externalParameters"`
		InternalParameters   map[string]any `json:"internalParameters"`
		ResolvedDependencies []resource     `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string `json:"invocationId"`
			StartedOn    string `json:"startedOn"`
			FinishedOn   string `json:"finishedOn"`
		} `json:"metadata"`
		Byproducts []resource `json:"byproducts"`
	} `json:"runDetails"`
}

// provenance states what was built from what, by whom, and signs it.
func (b *Builder) provenance(ctx context.Context, in Input, r Result, found findings) ([]byte, error) {
	payload, err := json.Marshal(b.statement(in, r, found))
	if err != nil {
		return nil, err
	}
	signer, err := dsse.NewEnvelopeSigner(edSigner{b.config.Key})
	if err != nil {
		return nil, err
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign provenance: %w", err)
	}
	return json.Marshal(envelope)
}

func (b *Builder) statement(in Input, r Result, found findings) statement {
	s := statement{
		Type:          statementType,
		Subject:       []resource{{Name: in.AppName, Digest: digestSet(r.Image)}},
		PredicateType: predicateType,
	}
	buildpacks := make([]string, len(found.used))
	for i, u := range found.used {
		buildpacks[i] = u.Name
	}
	d := &s.Predicate.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = map[string]any{"app": in.App, "source": in.SourceURI, "commit": in.Commit, "buildpacks": buildpacks}
	// Names only: what a build was given shows, not the values.
	names := make([]string, len(in.Env))
	for i, v := range in.Env {
		names[i] = v.Name
	}
	d.InternalParameters = map[string]any{"stack": Stack, "space": in.Space, "configVars": names}
	d.ResolvedDependencies = b.dependencies(in, r, found)
	run := &s.Predicate.RunDetails
	run.Builder.ID = b.config.BuilderID
	run.Metadata.InvocationID = in.BuildID
	run.Metadata.StartedOn = r.Started.Format(time.RFC3339)
	run.Metadata.FinishedOn = r.Finished.Format(time.RFC3339)
	sbom := sha256.Sum256(r.SBOM)
	run.Byproducts = []resource{
		{Name: "log", Digest: digestSet(r.Log)},
		{Name: "slug", Digest: digestSet(r.SlugDigest)},
		{Name: "sbom", Digest: map[string]string{"sha256": hex.EncodeToString(sbom[:])}},
	}
	return s
}

func (b *Builder) dependencies(in Input, r Result, found findings) []resource {
	source := resource{Name: "source", URI: in.SourceURI, Digest: digestSet(r.Source)}
	if gitCommit(in.Commit) {
		source.Digest["gitCommit"] = in.Commit
	}
	list := []resource{
		source,
		{Name: "base image", Digest: digestSet(b.base.Digest)},
		{Name: "build image", Digest: digestSet(b.config.BuildImage)},
	}
	for _, u := range found.used {
		dependency := resource{Name: "buildpack " + u.Name, URI: u.URL, Digest: digestSet(u.Digest)}
		if gitCommit(u.Commit) {
			dependency.Digest["gitCommit"] = u.Commit
		}
		list = append(list, dependency)
	}
	for _, c := range found.components {
		dependency := resource{URI: c.purl, Digest: map[string]string{}}
		if algorithm, value := c.hash(); value != "" {
			dependency.Digest[strings.ToLower(strings.ReplaceAll(string(algorithm), "-", ""))] = value
		}
		list = append(list, dependency)
	}
	return list
}

func gitCommit(id string) bool {
	_, err := hex.DecodeString(id)
	return err == nil && (len(id) == 40 || len(id) == 64)
}

// digestSet turns "sha256:…" into in-toto's form.
func digestSet(digest string) map[string]string {
	set := map[string]string{}
	if algorithm, value, ok := strings.Cut(digest, ":"); ok {
		set[algorithm] = value
	}
	return set
}

// edSigner signs with an Ed25519 key that may live elsewhere.
type edSigner struct{ key crypto.Signer }

// Sign implements dsse.Signer.
func (s edSigner) Sign(_ context.Context, data []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, data, crypto.Hash(0))
}

// KeyID implements dsse.Signer.
func (s edSigner) KeyID() (string, error) { return dsse.SHA256KeyID(s.key.Public()) }

// VerifyProvenance checks the envelope's signature with the platform's public
// key and returns the statement inside.
func VerifyProvenance(ctx context.Context, envelope []byte, key ed25519.PublicKey) ([]byte, error) {
	var e dsse.Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("read provenance: %w", err)
	}
	if e.PayloadType != payloadType {
		return nil, fmt.Errorf("provenance has the type %q", e.PayloadType)
	}
	v, err := dsse.NewEnvelopeVerifier(edVerifier{key})
	if err != nil {
		return nil, err
	}
	if _, err := v.Verify(ctx, &e); err != nil {
		return nil, fmt.Errorf("verify provenance: %w", err)
	}
	return e.DecodeB64Payload()
}

// Check tells whether r's provenance is signed with the key and is about r's
// image: what is stored as evidence is what anybody can verify later.
func (r Result) Check(ctx context.Context, key ed25519.PublicKey) error {
	raw, err := VerifyProvenance(ctx, r.Provenance, key)
	if err != nil {
		return err
	}
	var s statement
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("read provenance: %w", err)
	}
	if len(s.Subject) != 1 || !maps.Equal(s.Subject[0].Digest, digestSet(r.Image)) {
		return fmt.Errorf("the provenance is not about the image %s", r.Image)
	}
	return nil
}

type edVerifier struct{ key ed25519.PublicKey }

// Verify implements dsse.Verifier.
func (v edVerifier) Verify(_ context.Context, data, signature []byte) error {
	if !ed25519.Verify(v.key, data, signature) {
		return fmt.Errorf("the signature does not match")
	}
	return nil
}

// KeyID implements dsse.Verifier.
func (v edVerifier) KeyID() (string, error) { return dsse.SHA256KeyID(v.key) }

// Public implements dsse.Verifier.
func (v edVerifier) Public() crypto.PublicKey { return v.key }
