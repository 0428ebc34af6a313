//go:build live

package live

import (
	"errors"
	"path/filepath"
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
	ddl, logs := "create table "+table, filepath.Join(s.data, "logs")
	eventually(t, 20*time.Second, "the log of the DDL", func() error {
		if len(search(t, [][]byte{[]byte(ddl)}, logs)[ddl]) == 0 {
			return errors.New("the statement is in no file")
		}
		return nil
	})
	if in := search(t, [][]byte{[]byte(canary)}, logs)[canary]; len(in) > 0 {
		t.Errorf("%s is in the database's log, %v", canary, in)
	}
}
