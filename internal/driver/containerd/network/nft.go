package network

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// nft runs the tool in the calling thread's namespace. A script is one
// transaction: all of it takes effect, or nothing.
func nft(ctx context.Context, script string, args ...string) ([]byte, error) {
	path, err := exec.LookPath("nft")
	if err != nil {
		path = "/usr/sbin/nft" // services often run without sbin in PATH
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(script)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, firstLine(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// load runs a script.
func load(ctx context.Context, script string) error {
	_, err := nft(ctx, script, "-f", "-")
	return err
}

// listing is a table as the kernel holds it.
type listing struct {
	digest   string   // of all but handles, counters, and the sets of sources, of refused attempts and of what names led to
	objects  []string // what the digest is of
	counters map[string]counter
	sources  []string // elements of the set that Attach and Detach change
	refused  []Refusal
	open     []opening
}

// list reads a table in the calling thread's namespace. A missing table is an
// empty listing, whose digest equals no other.
func list(ctx context.Context, table string) (listing, error) {
	out, err := nft(ctx, "", "-j", "list", "table", "inet", table)
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && strings.Contains(err.Error(), "No such file") {
			return listing{}, nil
		}
		return listing{}, err
	}
	return parseListing(out)
}

func parseListing(out []byte) (listing, error) {
	var doc struct {
		NFTables []map[string]map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return listing{}, fmt.Errorf("nft listing: %w", err)
	}
	l := listing{counters: map[string]counter{}}
	hash := sha256.New()
	for _, object := range doc.NFTables {
		for kind, body := range object {
			name, _ := body["name"].(string)
			switch {
			case kind == "metainfo": // the tool's version
				continue
			case kind == "counter":
				l.counters[name] = counter{number(body["packets"]), number(body["bytes"])}
				delete(body, "packets")
				delete(body, "bytes")
			case kind == "set" && name == refusedSet:
				l.refused = refusals(body["elem"])
				delete(body, "elem")
			case kind == "map" && strings.HasPrefix(name, namedMap):
				l.open = append(l.open, openings(name, body["elem"])...)
				delete(body, "elem")
			case kind == "set" && name == "sources":
				l.sources = elements(body["elem"])
				delete(body, "elem")
			}
			delete(body, "handle")
			text, err := json.Marshal(map[string]any{kind: ordered(body)})
			if err != nil {
				return listing{}, err
			}
			hash.Write(append(text, '\n'))
			l.objects = append(l.objects, string(text))
		}
	}
	l.digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return l, nil
}

func number(v any) uint64 {
	f, _ := v.(float64)
	return uint64(f)
}

// elements gives each element of a set of concatenations in one string.
func elements(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		object, _ := e.(map[string]any)
		parts, _ := object["concat"].([]any)
		var words []string
		for _, p := range parts {
			words = append(words, fmt.Sprint(p))
		}
		out = append(out, strings.Join(words, " . "))
	}
	slices.Sort(out)
	return out
}

// ordered sorts the elements of sets, whose order is the kernel's business.
func ordered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			value = ordered(value)
			if list, ok := value.([]any); ok && (key == "set" || key == "elem") {
				slices.SortFunc(list, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
			v[key] = value
		}
	case []any:
		for i := range v {
			v[i] = ordered(v[i])
		}
	}
	return v
}
