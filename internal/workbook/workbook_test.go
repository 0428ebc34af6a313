package workbook

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/workbook/workbooktest"
)

var day = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// write writes a workbook of sheets of at most limit rows.
func write(t testing.TB, limit int, facts []Fact, head []string, rows [][]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := Create(&out, Table{Title: "Log-ins & more", Footer: "signed, not proven", Head: head, Count: len(rows), At: day})
	w.limit = limit
	for _, row := range rows {
		if err := w.Row(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(facts); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCells(t *testing.T) {
	head := []string{"seq", "text"}
	rows := [][]string{
		{"0", "plain"},
		{"12", "=1+1"},
		{"13", "+cmd|' /C calc'!A1"},
		{"14", `<b>&amp;"x"</b>`},
		{"15", "  spaces \n and\ttabs  "},
		{"16", "bell \a escape \x1b[31m return \r end"},
		{"17", "_x0041_ is not A, nor _x005F_x"},
		{"18", "Zoë Łukasz Мария 山田 🙂"},
		{"19", "]]> \ufffe\uffff"},
		{"007", "1e5"},
		{"", "no seq"},
	}
	if d := cmp.Diff(append([][]string{head}, rows...), workbooktest.Cells(t, write(t, maxRows, nil, head, rows), "Rows")); d != "" {
		t.Errorf("-written +read:\n%s", d)
	}
}

// TestSameBytes: what is written twice is the same.
func TestSameBytes(t *testing.T) {
	head, rows, facts := []string{"seq"}, [][]string{{"1"}, {"2"}}, []Fact{{"Space", "clinic"}}
	if !bytes.Equal(write(t, maxRows, facts, head, rows), write(t, maxRows, facts, head, rows)) {
		t.Error("two workbooks of the same rows differ")
	}
}

// TestManyRows go on on another sheet, and the first sheet says so.
func TestManyRows(t *testing.T) {
	head := []string{"seq", "what"}
	for _, n := range []int{0, 1, 299, 300, 301, 600, 601} {
		var rows [][]string
		for i := range n {
			rows = append(rows, []string{fmt.Sprint(i), fmt.Sprint("row ", i)})
		}
		b := write(t, 301, nil, head, rows)
		var got [][]string
		sheets := max(1, (n+299)/300)
		for s := range sheets {
			list := workbooktest.Cells(t, b, rowsName(s+1))
			if d := cmp.Diff(head, list[0]); d != "" {
				t.Errorf("%d rows, sheet %d: %s", n, s, d)
			}
			got = append(got, list[1:]...)
		}
		if d := cmp.Diff(rows, got); d != "" {
			t.Errorf("%d rows (-written +read):\n%s", n, d)
		}
		if says := fmt.Sprint(workbooktest.Cells(t, b, aboutName)); strings.Contains(says, "goes on from one to the next") != (sheets > 1) {
			t.Errorf("%d rows: %s", n, says)
		}
	}
}

// TestLongCells are cut where a spreadsheet ends, and that is said.
func TestLongCells(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		cut  bool
	}{
		"just fits":           {strings.Repeat("x", maxCell), false},
		"many bytes":          {strings.Repeat("é", maxCell), false},
		"one too many":        {strings.Repeat("x", maxCell+1), true},
		"surrogates":          {strings.Repeat("🙂", maxCell/2+1), true},
		"surrogates that fit": {strings.Repeat("🙂", maxCell/2), false},
	} {
		b := write(t, maxRows, nil, []string{"seq", "text"}, [][]string{{"1", tc.text}})
		got := workbooktest.Cells(t, b, "Rows")[1][1]
		says := fmt.Sprint(workbooktest.Cells(t, b, aboutName))
		if strings.Contains(says, "One cell was longer") != tc.cut {
			t.Errorf("%s: %s", name, says)
		}
		switch {
		case !tc.cut && got != tc.text:
			t.Errorf("%s: changed", name)
		case tc.cut && (!strings.HasSuffix(got, "the CSV has all of them]") || units(got) > maxCell || !strings.HasPrefix(tc.text, got[:len(got)-120])):
			t.Errorf("%s: %d units, %.200q", name, units(got), got[max(0, len(got)-200):])
		}
	}
}

func TestCountIsKept(t *testing.T) {
	w := Create(&bytes.Buffer{}, Table{Head: []string{"seq"}, Count: 2})
	for range 3 {
		if err := w.Row([]string{"1"}); err != nil {
			t.Fatal(err) // they wait
		}
	}
	if err := w.Close(nil); err == nil {
		t.Error("more rows than there were to be")
	}
	w = Create(&bytes.Buffer{}, Table{Head: []string{"seq"}, Count: 2})
	if err := w.Close(nil); err == nil {
		t.Error("fewer rows than there were to be")
	}
}

func TestColumns(t *testing.T) {
	for n, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA"} {
		if got := string(appendColumn(nil, n)); got != want {
			t.Errorf("column %d: %s, want %s", n, got, want)
		}
	}
}

// FuzzCell: whatever a cell holds, a reader finds it again.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"=1", "_x0000_", "\x00", "a\r\nb", "<", "_x_x0041_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s = strings.ToValidUTF8(s, "\ufffd"); s == "" || len(s) > 1000 {
			return
		}
		got := workbooktest.Cells(t, write(t, maxRows, nil, []string{"seq", "x"}, [][]string{{"1", s}}), "Rows")
		if got[1][1] != s {
			t.Errorf("%q came out as %q", s, got[1][1])
		}
	})
}
