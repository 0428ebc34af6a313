package installation_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/installation"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestCreate(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	first := w.Since(0)[0]
	if first.Action != "installation.create" || first.Scope != "" || len(first.Changes) != 2 {
		t.Errorf("entry 0: %v", first)
	}
	in := commandtest.Get[*document.Installation](w, w.IDs["installation"])
	if in.LogNumber != 1 || in.LogKey == "" || in.Version == "" {
		t.Errorf("%+v", in)
	}
	if root := commandtest.Get[*document.Account](w, w.IDs["account:root"]); !root.Operator || root.Password != nil {
		t.Errorf("%+v", root)
	}
	again := func(email string) *installation.Create {
		return &installation.Create{ID: uuid.NewString(), Name: "x", LogKey: "x", Email: email}
	}
	w.Refused(fault.Conflict, commandtest.None, again("eve@example.org"), commandtest.Platform)
	w.Refused(fault.Forbidden, "", again("eve@example.org"), w.As("root"))
	w.Refused(fault.Invalid, commandtest.None, again("eve"), commandtest.Platform)
}

func TestRecordImage(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	record := func(digest string) {
		w.Do(&installation.RecordImage{Image: document.Image{Name: "postgres", Digest: "sha256:" + strings.Repeat(digest, 64)}}, commandtest.Platform)
	}
	record("a")
	id := commandtest.Find[*document.Image](w, "name", "postgres")[0].ID
	record("b")
	list := commandtest.Find[*document.Image](w, "all", "")
	if len(list) != 1 || list[0].ID != id || !strings.HasSuffix(list[0].Digest, "b") {
		t.Errorf("%+v", list)
	}
	w.Refused(fault.Forbidden, "", &installation.RecordImage{Image: document.Image{Name: "postgres"}}, w.As("root"))
}

func TestRecordBuildKey(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&installation.RecordBuildKey{PEM: "one"}, commandtest.Platform)
	if got := commandtest.Get[*document.Installation](w, w.IDs["installation"]); got.BuildKey != "one" || got.LogKey == "" {
		t.Errorf("%+v", got)
	}
	w.Refused(fault.Conflict, commandtest.None, &installation.RecordBuildKey{PEM: "one"}, commandtest.Platform)
	w.Refused(fault.Forbidden, "", &installation.RecordBuildKey{PEM: "mine"}, w.As("root"))
}

func TestRecordStart(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&installation.RecordStart{Program: "one", Settings: "a"}, commandtest.Platform)
	w.Refused(fault.Conflict, commandtest.None, &installation.RecordStart{Program: "one", Settings: "a"}, commandtest.Platform)
	w.Do(&installation.RecordStart{Program: "two", Settings: "a"}, commandtest.Platform)
	if got := commandtest.Get[*document.Installation](w, w.IDs["installation"]); got.Program != "two" || got.Settings != "a" || got.LogKey == "" {
		t.Errorf("%+v", got)
	}
	w.Refused(fault.Forbidden, "", &installation.RecordStart{Program: "mine"}, w.As("root"))
}
