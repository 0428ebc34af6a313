package workbook

import (
	"fmt"
	"strings"
	"time"
)

type part struct{ name, text string }

// aboutName is the name of the sheet that says what the table is.
const aboutName = "About"

// rowsName is the name of the n-th sheet of rows.
func rowsName(n int) string {
	if n == 1 {
		return "Rows"
	}
	return fmt.Sprintf("Rows %d", n)
}

// sheetPart is the file of a sheet: 0 is the one that says what the table is.
func sheetPart(n int) string { return fmt.Sprintf("xl/worksheets/sheet%d.xml", n+1) }

const (
	schemas   = "http://schemas.openxmlformats.org/"
	relation  = schemas + "officeDocument/2006/relationships"
	mediaType = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// parts are the files of the workbook that do not hold cells.
func (w *Writer) parts() []part {
	var types, sheets, relations, names strings.Builder
	for n := range w.sheets() + 1 {
		name := aboutName
		if n > 0 {
			name = rowsName(n)
			last := min(w.limit, w.table.Count-(n-1)*(w.limit-1)+1)
			fmt.Fprintf(&names, `<definedName name="_xlnm._FilterDatabase" localSheetId="%d" hidden="1">%s</definedName>`, n, w.area("'"+name+"'!$%s$%d:$%s$%d", last))
			fmt.Fprintf(&names, `<definedName name="_xlnm.Print_Titles" localSheetId="%d">'%s'!$1:$1</definedName>`, n, name)
		}
		fmt.Fprintf(&types, `<Override PartName="/%s" ContentType="%sworksheet+xml"/>`, sheetPart(n), mediaType)
		fmt.Fprintf(&sheets, `<sheet name="%s" sheetId="%d" r:id="rId%d"/>`, name, n+1, n+2)
		fmt.Fprintf(&relations, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, n+2, relation, n+1)
	}
	created := w.table.At.UTC().Format(time.RFC3339)
	return []part{
		{"[Content_Types].xml", prolog + `<Types xmlns="` + schemas + `package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + mediaType + `sheet.main+xml"/>` +
			`<Override PartName="/xl/styles.xml" ContentType="` + mediaType + `styles+xml"/>` + types.String() +
			`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>`},
		{"_rels/.rels", prolog + `<Relationships xmlns="` + schemas + `package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + relation + `/officeDocument" Target="xl/workbook.xml"/>` +
			`<Relationship Id="rId2" Type="` + schemas + `package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`},
		{"docProps/core.xml", prolog + `<cp:coreProperties xmlns:cp="` + schemas + `package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" ` +
			`xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>` + string(appendText(nil, w.table.Title)) + `</dc:title>` +
			`<dcterms:created xsi:type="dcterms:W3CDTF">` + created + `</dcterms:created></cp:coreProperties>`},
		{"xl/workbook.xml", prolog + `<workbook xmlns="` + schemas + `spreadsheetml/2006/main" xmlns:r="` + relation + `"><bookViews><workbookView activeTab="0"/></bookViews>` +
			`<sheets>` + sheets.String() + `</sheets><definedNames>` + names.String() + `</definedNames></workbook>`},
		{"xl/_rels/workbook.xml.rels", prolog + `<Relationships xmlns="` + schemas + `package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + relation + `/styles" Target="styles.xml"/>` + relations.String() + `</Relationships>`},
		{"xl/styles.xml", prolog + styles},
	}
}
