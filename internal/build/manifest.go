package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// Bounds of the files that describe an app.
const (
	maxAppJSON     = 256 << 10
	maxPackageJSON = 1 << 20
)

// AppJSON is what the platform reads of an app.json; other members are the
// app's own affair.
type AppJSON struct {
	Formation  map[string]Scale
	Env        map[string]EnvDefault
	Buildpacks []string
}

// EnvDefault is a config var that app.json declares.
type EnvDefault struct {
	Value     string
	Required  bool
	Generator string // "secret": the platform makes a value
}

var namePattern = pattern.New(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)

// ParseAppJSON reads an app.json.
func ParseAppJSON(raw []byte) (AppJSON, error) {
	if len(raw) > maxAppJSON {
		return AppJSON{}, fault.New(fault.TooLarge, "app.json is larger than %d bytes.", maxAppJSON)
	}
	var doc struct {
		Formation map[string]struct {
			Quantity *int   `json:"quantity"`
			Size     string `json:"size"`
		} `json:"formation"`
		Env        map[string]json.RawMessage `json:"env"`
		Buildpacks []struct {
			URL string `json:"url"`
		} `json:"buildpacks"`
	}
	if err := decode("app.json", raw, &doc); err != nil {
		return AppJSON{}, err
	}
	out := AppJSON{Formation: map[string]Scale{}, Env: map[string]EnvDefault{}}
	for name, f := range doc.Formation {
		if !processPattern.MatchString(name) {
			return AppJSON{}, fault.New(fault.Invalid, "app.json: formation %q is not a process type.", name)
		}
		quantity := 1
		if f.Quantity != nil {
			quantity = *f.Quantity
		}
		if quantity < 0 || quantity > 100 {
			return AppJSON{}, fault.New(fault.Invalid, "app.json: formation %q wants %d dynos; 0 to 100 are possible.", name, quantity)
		}
		out.Formation[name] = Scale{Quantity: quantity, Size: f.Size}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Env)) {
		d, err := parseEnvDefault(name, doc.Env[name])
		if err != nil {
			return AppJSON{}, err
		}
		out.Env[name] = d
	}
	for _, b := range doc.Buildpacks {
		out.Buildpacks = append(out.Buildpacks, b.URL)
	}
	return out, nil
}

// parseEnvDefault reads an entry of env: a value, or an object that has one.
func parseEnvDefault(name string, raw json.RawMessage) (EnvDefault, error) {
	if !namePattern.MatchString(name) {
		return EnvDefault{}, fault.New(fault.Invalid, "app.json: env %q is not a name for a config var.", name)
	}
	var value string
	if json.Unmarshal(raw, &value) == nil {
		return EnvDefault{Value: value, Required: true}, nil
	}
	var doc struct {
		Value     string `json:"value"`
		Required  *bool  `json:"required"`
		Generator string `json:"generator"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return EnvDefault{}, fault.New(fault.Invalid, "app.json: env %q is neither a string nor an object with a value.", name)
	}
	if doc.Generator != "" && doc.Generator != "secret" {
		return EnvDefault{}, fault.New(fault.Invalid, "app.json: env %q wants the generator %q; only \"secret\" exists.", name, doc.Generator)
	}
	return EnvDefault{Value: doc.Value, Required: doc.Required == nil || *doc.Required, Generator: doc.Generator}, nil
}

// defaults are the values that app.json itself has.
func (a AppJSON) defaults() map[string]string {
	values := map[string]string{}
	for name, d := range a.Env {
		if d.Value != "" {
			values[name] = d.Value
		}
	}
	return values
}

// CheckPackageJSON finds what would make a Node.js build fail for a reason
// that is hard to see in its output.
func CheckPackageJSON(raw []byte) error {
	if len(raw) > maxPackageJSON {
		return fault.New(fault.TooLarge, "package.json is larger than %d bytes.", maxPackageJSON)
	}
	var doc struct {
		Engines map[string]any    `json:"engines"`
		Scripts map[string]string `json:"scripts"`
	}
	if err := decode("package.json", raw, &doc); err != nil {
		return err
	}
	for name, v := range doc.Engines {
		if _, ok := v.(string); !ok {
			return fault.New(fault.Invalid, "package.json: engines.%s is not a string; write a version range such as \"24.x\".", name)
		}
	}
	return nil
}

// decode reads one JSON object and says where it is broken.
func decode(name string, raw []byte, into any) error {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	err := json.Unmarshal(raw, into)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "%s is not valid JSON: %s: %v.", name, position(raw, syntax.Offset), err)
	case errors.As(err, &kind):
		return fault.New(fault.Invalid, "%s: %s is a JSON %s where something else is expected.", name, memberName(kind.Field), kind.Value)
	case err != nil:
		return fault.New(fault.Invalid, "%s is not valid: %v.", name, err)
	case !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")):
		return fault.New(fault.Invalid, "%s does not hold a JSON object.", name)
	}
	return nil
}

func memberName(field string) string {
	if field == "" {
		return "the whole"
	}
	return field
}

func position(raw []byte, offset int64) string {
	before := raw[:min(int(offset), len(raw))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Sprintf("line %d, column %d", line, max(column, 1))
}
