package workbook

import (
	"archive/zip"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Widths are in characters. Text of a column that has wider cells is wrapped.
const (
	sampled = 200 // rows that decide about the widths
	narrow  = 6
	widest  = 48

	aboutWidth = 96 // of the facts

	lineHeight = 13 // points
	maxLines   = 30 // that a row is made high enough for: taller ones show the beginning
)

// Styles of cells, by their places in cellXfs.
const (
	_ = iota // of cells that are not there
	stylePlain
	styleHead
	styleWrapped
	styleTitle
	styleName
)

const styles = `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` +
	`<fonts count="4"><font><sz val="10"/><color rgb="FF1C2430"/><name val="Arial"/><family val="2"/></font>` +
	`<font><b/><sz val="10"/><color rgb="FF1C2430"/><name val="Arial"/><family val="2"/></font>` +
	`<font><b/><sz val="16"/><color rgb="FF1C2430"/><name val="Arial"/><family val="2"/></font>` +
	`<font><sz val="10"/><color rgb="FF5B6675"/><name val="Arial"/><family val="2"/></font></fonts>` +
	`<fills count="3"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>` +
	`<fill><patternFill patternType="solid"><fgColor rgb="FFE9EDF2"/><bgColor indexed="64"/></patternFill></fill></fills>` +
	`<borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border>` +
	`<border><left/><right/><top/><bottom style="thin"><color rgb="FF5B6675"/></bottom><diagonal/></border></borders>` +
	`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
	`<cellXfs count="6"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
	`<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1"><alignment horizontal="left" vertical="top"/></xf>` +
	`<xf numFmtId="0" fontId="1" fillId="2" borderId="1" xfId="0" applyFont="1" applyFill="1" applyBorder="1" applyAlignment="1"><alignment vertical="center"/></xf>` +
	`<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1"><alignment horizontal="left" vertical="top" wrapText="1"/></xf>` +
	`<xf numFmtId="0" fontId="2" fillId="0" borderId="0" xfId="0" applyFont="1"/>` +
	`<xf numFmtId="0" fontId="3" fillId="0" borderId="0" xfId="0" applyFont="1" applyAlignment="1"><alignment vertical="top"/></xf>` +
	`</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`

const (
	prolog    = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	worksheet = prolog + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">`
	margins   = `<pageMargins left="0.4" right="0.4" top="0.6" bottom="0.6" header="0.3" footer="0.3"/>`
)

// measure finds the widths of the columns.
func (w *Writer) measure() {
	w.wide = make([]int, len(w.table.Head))
	for i, title := range w.table.Head {
		w.wide[i] = max(narrow, utf8.RuneCountInString(title)+4) // room for the filter's button
	}
	for _, row := range w.first {
		for i, cell := range row {
			w.wide[i] = max(w.wide[i], min(utf8.RuneCountInString(cell)+1, widest+1))
		}
	}
}

// appendRow begins a row. Not every program finds out by itself how high it must be.
func appendRow(b []byte, n, lines int) []byte {
	if lines <= 1 {
		return fmt.Appendf(b, `<row r="%d">`, n)
	}
	return fmt.Appendf(b, `<row r="%d" ht="%d" customHeight="1">`, n, min(lines, maxLines)*lineHeight)
}

// wraps is about how many lines text takes in a column of that width.
func wraps(s string, width int) (n int) {
	for line := range strings.Lines(s) {
		n += 1 + utf8.RuneCountInString(line)*21/20/width // words do not fill lines to the end
	}
	return n
}

// openSheet begins the next sheet of rows.
func (w *Writer) openSheet() error {
	w.sheet++
	out, err := w.zip.CreateHeader(&zip.FileHeader{Name: sheetPart(w.sheet), Method: zip.Deflate, Modified: w.table.At.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	w.out = out
	b := append(w.buf[:0], worksheet+`<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr><sheetViews><sheetView workbookViewId="0">`+
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="13"/><cols>`...)
	for i, n := range w.wide {
		b = fmt.Appendf(b, `<col min="%d" max="%d" width="%d" customWidth="1"/>`, i+1, i+1, min(n, widest))
	}
	b = append(b, `</cols><sheetData>`...)
	w.buf = b
	if _, err := w.out.Write(b); err != nil {
		return err
	}
	return w.line(1, w.table.Head, true)
}

// line writes a row. All but whole numbers is inline text.
func (w *Writer) line(n int, row []string, head bool) error {
	lines := 1
	for i, s := range row {
		if !head && w.wide[i] > widest {
			lines = max(lines, wraps(s, widest))
		}
	}
	b := appendRow(w.buf[:0], n, lines)
	for i, s := range row {
		style := stylePlain
		switch {
		case head:
			style = styleHead
		case w.wide[i] > widest:
			style = styleWrapped
		}
		if s == "" && !head {
			continue
		}
		b = append(b, `<c r="`...)
		b = appendRef(b, i, n)
		if i == 0 && !head && number(s) {
			b = fmt.Appendf(b, `" s="%d"><v>%s</v></c>`, stylePlain, s)
			continue
		}
		s, cut := fit(s)
		if cut {
			w.cut++
		}
		b = append(b, `" s="`...)
		b = append(b, byte('0'+style))
		b = append(b, `" t="inlineStr"><is><t xml:space="preserve">`...)
		b = append(appendText(b, s), `</t></is></c>`...)
	}
	b = append(b, `</row>`...)
	w.buf = b
	_, err := w.out.Write(b)
	return err
}

func (w *Writer) closeSheet() error {
	_, err := fmt.Fprintf(w.out, `</sheetData><autoFilter ref="%s"/>%s%s</worksheet>`, w.area("%s%d:%s%d", w.onSheet()+1), margins, w.paper("landscape"))
	return err
}

// area names the cells of a sheet of rows.
func (w *Writer) area(format string, last int) string {
	return fmt.Sprintf(format, "A", 1, appendColumn(nil, max(len(w.table.Head)-1, 0)), last)
}

// paper is how a sheet is printed: as wide as the page, with page numbers.
func (w *Writer) paper(orientation string) string {
	// An & begins a code there, and the text is bounded.
	says := func(s string, most int) string {
		if r := []rune(s); len(r) > most {
			s = string(r[:most])
		}
		return string(appendText(nil, strings.ReplaceAll(s, "&", "&&")))
	}
	return fmt.Sprintf(`<pageSetup paperSize="1" orientation="%s" fitToWidth="1" fitToHeight="0"/>`+
		`<headerFooter><oddHeader>&amp;L%s</oddHeader><oddFooter>&amp;L%s&amp;RPage &amp;P of &amp;N</oddFooter></headerFooter>`,
		orientation, says(w.table.Title, 60), says(w.table.Footer, 160))
}

// about is the sheet that says what the table is.
func (w *Writer) about(facts []Fact) string {
	b := []byte(worksheet + `<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr><sheetViews><sheetView showGridLines="0" tabSelected="1" workbookViewId="0"/></sheetViews>` +
		`<cols><col min="1" max="1" width="18" customWidth="1"/><col min="2" max="2" width="` + strconv.Itoa(aboutWidth) + `" customWidth="1"/></cols><sheetData>`)
	text := func(at string, row, style int, s string) {
		s, _ = fit(s)
		b = fmt.Appendf(b, `<c r="%s%d" s="%d" t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, at, row, style, appendText(nil, s))
	}
	b = append(b, `<row r="1" ht="24" customHeight="1">`...)
	text("A", 1, styleTitle, w.table.Title)
	b = append(b, `</row>`...)
	for i, f := range facts {
		b = appendRow(b, i+3, wraps(f.Says, aboutWidth))
		text("A", i+3, styleName, f.Name)
		text("B", i+3, styleWrapped, f.Says)
		b = append(b, `</row>`...)
	}
	return string(b) + `</sheetData>` + margins + w.paper("portrait") + `</worksheet>`
}
