//go:build integration

package evidence_test

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpacked writes the reports of a pack to a directory.
func unpacked(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if base, ok := strings.CutPrefix(name, "reports/"); ok {
			if err := os.WriteFile(filepath.Join(dir, base), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestSummaryRenders: another program draws every page, without complaint.
func TestSummaryRenders(t *testing.T) {
	l := newLab(t)
	dir := unpacked(t, members(t, l.troubled()))
	out, err := exec.Command("pdftoppm", "-r", "40", "-png", filepath.Join(dir, "summary.pdf"), filepath.Join(dir, "page")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("pdftoppm: %v: %s", err, out)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "page-*.png"))
	if err != nil || len(pages) < 3 || len(pages) > 8 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
	text, err := exec.Command("pdftotext", "-layout", filepath.Join(dir, "summary.pdf"), "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"Evidence pack for the space ward", "Signed, not proven", "evidence:verify pack.zip --key log.vkey", "Page 1 of ", "What the platform does not know"} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the summary does not say %q", words)
		}
	}
}

// TestBooksInLibreOffice: the rows that it shows are those of the CSVs.
func TestBooksInLibreOffice(t *testing.T) {
	if _, err := exec.LookPath("soffice"); err != nil {
		t.Skip("LibreOffice is not installed (Debian: libreoffice-calc-nogui): workbooks are read with excelize alone")
	}
	l := newLab(t)
	dir := unpacked(t, members(t, l.troubled()))
	books, err := filepath.Glob(filepath.Join(dir, "*.xlsx"))
	if err != nil || len(books) == 0 {
		t.Fatalf("%d workbooks, %v", len(books), err)
	}
	// Commas, double quotes, UTF-8, cells as shown, all sheets.
	args := append([]string{
		"-env:UserInstallation=file://" + t.TempDir(), "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", "--outdir", filepath.Join(dir, "out"),
	}, books...)
	if out, err := exec.Command("soffice", args...).CombinedOutput(); err != nil {
		t.Fatalf("soffice: %v: %s", err, out)
	}
	for _, book := range books {
		name := strings.TrimSuffix(filepath.Base(book), ".xlsx")
		want, got := table(t, filepath.Join(dir, name+".csv")), table(t, filepath.Join(dir, "out", name+"-Rows.csv"))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-CSV +LibreOffice):\n%s", name, d)
		}
	}
}

func table(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return rows
}
