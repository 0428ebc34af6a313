//go:build live

package live

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFailingStatements: PostgreSQL quotes rows in its errors and statements in
// its log. The client is told, the log is not.
func TestFailingStatements(t *testing.T) {
	s := newSite(t)
	canary := "live-canary-" + time.Now().Format("150405")
	table := "t" + time.Now().Format("150405")
	s.h(t, "developer", "pg:psql", "-a", "intake", "-c", "create table "+table+" (v text unique, n int not null)").ok()
	defer func() { s.h(t, "developer", "pg:psql", "-a", "intake", "-c", "drop table "+table).ok() }()
	for _, statement := range []string{
		"select '" + canary + "'::int",
		"insert into " + table + " values ('" + canary + "', null)",
		"insert into " + table + " values ('" + canary + "', 1), ('" + canary + "', 2)",
		"selec '" + canary + "'",
		"do $$ begin raise warning '" + canary + "'; end $$",
		"do $$ begin raise exception '" + canary + "'; end $$",
	} {
		s.h(t, "developer", "pg:psql", "-a", "intake", "-c", statement).says(canary)
	}
	// That the log works is shown by what it is for.
	eventually(t, 20*time.Second, "the log of the DDL", func() error {
		if !inFiles(t, filepath.Join(s.data, "logs"), "create table "+table) {
			return fs.ErrNotExist
		}
		return nil
	})
	if inFiles(t, filepath.Join(s.data, "logs"), canary) {
		t.Errorf("%s is in the database's log", canary)
	}
}

// inFiles tells whether a text is in a file below a folder, whatever its case.
func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		found = found || bytes.Contains(bytes.ToLower(raw), []byte(strings.ToLower(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
