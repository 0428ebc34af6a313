// Package workbooktest reads workbooks with another program's reader, for tests.
package workbooktest

import (
	"bytes"
	"testing"

	"github.com/xuri/excelize/v2"
)

// Cells gives all cells of a sheet, in rows as long as the first at least, and
// wants no formula among them.
func Cells(t testing.TB, book []byte, sheet string) [][]string {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	for r := range rows {
		for c := range rows[r] {
			at, err := excelize.CoordinatesToCellName(c+1, r+1)
			if err != nil {
				t.Fatal(err)
			}
			if formula, err := f.GetCellFormula(sheet, at); formula != "" || err != nil {
				t.Errorf("%s has the formula %q (%v)", at, formula, err)
			}
		}
		for len(rows[r]) < len(rows[0]) { // it leaves out empty cells at the end
			rows[r] = append(rows[r], "")
		}
	}
	return rows
}
