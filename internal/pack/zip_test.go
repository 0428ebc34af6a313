package pack

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"testing"
)

// handZip makes zips that no writer would make.
type handZip struct {
	out     bytes.Buffer
	central bytes.Buffer
	count   int
}

// handFile is a file and what is said about it. What is zero is filled in.
type handFile struct {
	name, localName string
	content         []byte
	deflate         bool
	data            []byte // the compressed bytes, if not what they should be
	flags, method   uint16
	crc             uint32
	size            uint32
	extra           []byte // in both places
	comment         string
	external        uint32
	before          string // hidden before the file
	after           string // behind the compressed bytes, within their length
	descriptor      int    // its length: 12, 16, 20 or 24
	zip64           bool
	mangleLocal     func([]byte)
	mangleDesc      func([]byte)
	noLocal         bool // the directory leads to the file before
}

func (z *handZip) add(f handFile) {
	le := binary.LittleEndian
	data := f.data
	if data == nil {
		data = f.content
		if f.deflate {
			var buf bytes.Buffer
			w, _ := flate.NewWriter(&buf, 6)
			_, _ = w.Write(f.content)
			_ = w.Close()
			data = buf.Bytes()
		}
	}
	data = append(bytes.Clone(data), f.after...)
	if f.deflate {
		f.method = 8
	}
	if f.crc == 0 {
		f.crc = crc32.ChecksumIEEE(f.content)
	}
	if f.size == 0 {
		f.size = uint32(len(f.content))
	}
	if f.localName == "" {
		f.localName = f.name
	}
	if f.descriptor > 0 {
		f.flags |= flagDescriptor
	}
	offset := uint32(z.out.Len() + len(f.before))
	head := func(inLocal bool) []byte {
		crc, compressed, size := f.crc, uint32(len(data)), f.size
		if inLocal && f.descriptor > 0 {
			crc, compressed, size = 0, 0, 0
		}
		b := le.AppendUint16(nil, 20)
		b = le.AppendUint16(b, f.flags)
		b = le.AppendUint16(b, f.method)
		b = le.AppendUint32(b, 0x21<<16)
		b = le.AppendUint32(b, crc)
		if f.zip64 {
			b = le.AppendUint64(b, 1<<64-1)
		} else {
			b = le.AppendUint32(b, compressed)
			b = le.AppendUint32(b, size)
		}
		return b
	}
	extra := f.extra
	if f.zip64 {
		extra = le.AppendUint16(extra, 1)
		extra = le.AppendUint16(extra, 16)
		extra = le.AppendUint64(extra, uint64(f.size))
		extra = le.AppendUint64(extra, uint64(len(data)))
	}
	z.count++
	c := le.AppendUint32(nil, centralSig)
	c = append(le.AppendUint16(c, 3<<8|20), head(false)...)
	c = le.AppendUint16(c, uint16(len(f.name)))
	c = le.AppendUint16(c, uint16(len(extra)))
	c = le.AppendUint16(c, uint16(len(f.comment)))
	c = append(c, 0, 0, 0, 0)
	c = le.AppendUint32(c, f.external)
	if f.noLocal {
		offset = 0
	}
	c = append(append(append(le.AppendUint32(c, offset), f.name...), extra...), f.comment...)
	z.central.Write(c)
	if f.noLocal {
		return
	}
	l := append(le.AppendUint32(nil, localSig), head(true)...)
	l = le.AppendUint16(l, uint16(len(f.localName)))
	l = le.AppendUint16(l, uint16(len(extra)))
	l = append(append(l, f.localName...), extra...)
	if f.mangleLocal != nil {
		f.mangleLocal(l)
	}
	z.out.WriteString(f.before)
	z.out.Write(l)
	z.out.Write(data)
	if f.descriptor > 0 {
		var d []byte
		if f.descriptor == 16 || f.descriptor == 24 {
			d = le.AppendUint32(d, descriptorSig)
		}
		d = le.AppendUint32(d, f.crc)
		if f.descriptor >= 20 {
			d = le.AppendUint64(le.AppendUint64(d, uint64(len(data))), uint64(f.size))
		} else {
			d = le.AppendUint32(le.AppendUint32(d, uint32(len(data))), f.size)
		}
		if f.mangleDesc != nil {
			f.mangleDesc(d)
		}
		z.out.Write(d)
	}
}

// end writes directory and end record; with zip64 the wide forms too.
func (z *handZip) end(zip64 bool) []byte {
	le := binary.LittleEndian
	offset, size := z.out.Len(), z.central.Len()
	b := append(z.out.Bytes(), z.central.Bytes()...)
	count, size32, offset32 := uint16(z.count), uint32(size), uint32(offset)
	if zip64 {
		at := len(b)
		b = le.AppendUint64(le.AppendUint32(b, end64Sig), end64Size-12)
		b = le.AppendUint32(b, 45<<16|45)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(le.AppendUint64(b, uint64(z.count)), uint64(z.count))
		b = le.AppendUint64(le.AppendUint64(b, uint64(size)), uint64(offset))
		b = le.AppendUint32(le.AppendUint32(b, locatorSig), 0)
		b = le.AppendUint32(le.AppendUint64(b, uint64(at)), 1)
		count, size32, offset32 = max16, max32, max32
	}
	b = le.AppendUint32(le.AppendUint32(b, endSig), 0)
	b = le.AppendUint16(le.AppendUint16(b, count), count)
	b = le.AppendUint32(le.AppendUint32(b, size32), offset32)
	return append(b, 0, 0)
}

// readAll opens a zip and reads every file, as the verifier does.
func readAll(b []byte) (map[string]string, error) {
	z, err := openZip(Archive{bytes.NewReader(b), int64(len(b))})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, m := range z.order {
		content, err := io.ReadAll(z.open(m))
		if err != nil {
			return nil, err
		}
		out[m.name] = string(content)
	}
	return out, nil
}

var someText = []byte(strings.Repeat("the quick brown fox. ", 40))

func TestZipAccepts(t *testing.T) {
	for name, f := range map[string]handFile{
		"stored":                  {},
		"deflated":                {deflate: true},
		"empty":                   {content: []byte{}},
		"descriptor of 12":        {deflate: true, descriptor: 12},
		"descriptor of 16":        {deflate: true, descriptor: 16},
		"descriptor of 20":        {deflate: true, descriptor: 20},
		"descriptor of 24":        {descriptor: 24},
		"Zip64 sizes":             {deflate: true, zip64: true},
		"time in an extra field":  {extra: []byte{0x55, 0x54, 5, 0, 1, 0, 0, 0, 0}},
		"regular file of Unix":    {external: 0o100644 << 16},
		"UTF-8 flag, other level": {flags: 1<<11 | 1<<1, deflate: true},
	} {
		if f.name = "dir/file"; f.content == nil {
			f.content = someText
		}
		for _, zip64 := range []bool{false, true} {
			var z handZip
			z.add(handFile{name: "first", content: []byte("1")})
			z.add(f)
			z.add(handFile{name: "last", content: []byte("3"), deflate: true})
			got, err := readAll(z.end(zip64))
			if err != nil || len(got) != 3 || got["dir/file"] != string(f.content) || got["last"] != "3" {
				t.Errorf("%s, Zip64 %v: %.60q, %v", name, zip64, got, err)
			}
		}
	}
}

func TestZipRefuses(t *testing.T) {
	le := binary.LittleEndian
	deflated := func() []byte {
		var buf bytes.Buffer
		w, _ := flate.NewWriter(&buf, 6)
		_, _ = w.Write(someText)
		_ = w.Close()
		return buf.Bytes()
	}()
	for name, tt := range map[string]struct {
		file   handFile
		reason string
	}{
		"encrypted":                 {handFile{flags: 1}, "encrypted"},
		"strong encryption":         {handFile{flags: 1 << 6}, "feature of zip"},
		"masked headers":            {handFile{flags: 1 << 13}, "feature of zip"},
		"patched data":              {handFile{flags: 1 << 5}, "feature of zip"},
		"bzip2":                     {handFile{method: 12}, "neither stored nor deflated"},
		"comment":                   {handFile{comment: "x"}, "zip comment"},
		"link":                      {handFile{external: 0o120777 << 16}, "neither links"},
		"device":                    {handFile{external: 0o060644 << 16}, "neither links"},
		"directory of Unix":         {handFile{external: 0o040755 << 16}, "neither links"},
		"directory of DOS":          {handFile{external: 0x10}, "neither links"},
		"directory by its name":     {handFile{name: "dir/"}, "of that name"},
		"no name":                   {handFile{name: ""}, "of that name"},
		"absolute":                  {handFile{name: "/etc/passwd"}, "of that name"},
		"parent":                    {handFile{name: "a/../../b"}, "of that name"},
		"dot":                       {handFile{name: "./a"}, "of that name"},
		"empty segment":             {handFile{name: "a//b"}, "of that name"},
		"backslash":                 {handFile{name: `a\b`}, "of that name"},
		"drive":                     {handFile{name: "C:a"}, "of that name"},
		"space":                     {handFile{name: "a b"}, "of that name"},
		"newline":                   {handFile{name: "a\nb"}, "of that name"},
		"zero byte":                 {handFile{name: "a\x00b"}, "of that name"},
		"beyond ASCII":              {handFile{name: "ä"}, "of that name"},
		"long":                      {handFile{name: strings.Repeat("ä", 9999)}, "of that name"},
		"same name":                 {handFile{name: "first"}, "two files of that name"},
		"same name in other case":   {handFile{name: "FIRST"}, "two files of that name"},
		"another name before it":    {handFile{localName: "other"}, "names another file"},
		"shorter name before it":    {handFile{localName: "fil"}, "names another file"},
		"no local signature":        {handFile{mangleLocal: func(b []byte) { b[0] = 'X' }}, "names another file"},
		"another version":           {handFile{mangleLocal: func(b []byte) { b[4]++ }}, "disagrees"},
		"other flags":               {handFile{mangleLocal: func(b []byte) { b[6] |= 1 }}, "disagrees"},
		"other method":              {handFile{mangleLocal: func(b []byte) { b[8] = 8 }}, "disagrees"},
		"other time":                {handFile{mangleLocal: func(b []byte) { b[10]++ }}, "disagrees"},
		"other date":                {handFile{mangleLocal: func(b []byte) { b[12]++ }}, "disagrees"},
		"other checksum":            {handFile{mangleLocal: func(b []byte) { b[14]++ }}, "disagrees"},
		"other compressed size":     {handFile{mangleLocal: func(b []byte) { b[18]++ }}, "disagrees"},
		"other size":                {handFile{mangleLocal: func(b []byte) { b[22]++ }}, "disagrees"},
		"other descriptor":          {handFile{descriptor: 16, mangleDesc: func(b []byte) { b[5]++ }}, "descriptor disagrees"},
		"no descriptor signature":   {handFile{descriptor: 24, mangleDesc: func(b []byte) { b[0]++ }}, "descriptor disagrees"},
		"data before":               {handFile{before: "hidden"}, "does not end where"},
		"leads to another file":     {handFile{noLocal: true}, "does not end where the next one begins"},
		"name in an extra field":    {handFile{extra: []byte{0x75, 0x70, 1, 0, 1}}, "extra field"},
		"AES in an extra field":     {handFile{extra: []byte{0x01, 0x99, 7, 0, 1, 0, 'A', 'E', 1, 0, 0}}, "extra field"},
		"malformed extra field":     {handFile{extra: []byte{0x55, 0x54, 9, 0, 1}}, "extra field"},
		"cut extra field":           {handFile{extra: []byte{0x55, 0x54}}, "extra field"},
		"Zip64 field without need":  {handFile{extra: le.AppendUint64([]byte{1, 0, 8, 0}, 5)}, "extra field"},
		"wrong checksum":            {handFile{crc: 1}, "checksum"},
		"stored, other size":        {handFile{size: 5}, "impossible"},
		"deflated, longer":          {handFile{deflate: true, size: uint32(len(someText) - 1)}, "longer than the zip says"},
		"deflated, shorter":         {handFile{deflate: true, size: uint32(len(someText) + 1)}, "damaged"},
		"deflated, cut":             {handFile{deflate: true, data: deflated[:len(deflated)-5]}, "damaged"},
		"deflated, nonsense":        {handFile{deflate: true, data: []byte("nonsense")}, "damaged"},
		"data behind deflated data": {handFile{deflate: true, after: "hidden"}, "data behind"},
	} {
		f := tt.file
		if f.name == "" && name != "no name" {
			f.name = "file"
		}
		f.content = someText
		var z handZip
		z.add(handFile{name: "first", content: []byte("1")})
		z.add(f)
		z.add(handFile{name: "last", content: []byte("3")})
		wantZipRefusal(t, name, z.end(false), tt.reason)
	}
}

func wantZipRefusal(t *testing.T, name string, b []byte, reason string) {
	t.Helper()
	_, err := readAll(b)
	var r *Refusal
	if !errors.As(err, &r) || r.Check != FormGroup || !strings.Contains(r.Reason, reason) {
		t.Errorf("%s: %v, want %s", name, err, reason)
	}
}

// TestZipAround is about what surrounds the files.
func TestZipAround(t *testing.T) {
	good := func(zip64 bool) []byte {
		var z handZip
		z.add(handFile{name: "a", content: someText, deflate: true})
		z.add(handFile{name: "b", content: someText})
		return z.end(zip64)
	}
	edit := func(zip64 bool, fromEnd int, value byte) []byte {
		b := good(zip64)
		b[len(b)-fromEnd] = value
		return b
	}
	var central handZip
	central.add(handFile{name: "a", content: someText})
	central.central.WriteString("hidden")
	var before handZip
	before.add(handFile{name: "a", content: someText})
	before.out.WriteString("hidden")
	var empty handZip
	for name, tt := range map[string]struct {
		b      []byte
		reason string
	}{
		"empty file":                {nil, "cut off"},
		"no zip":                    {bytes.Repeat([]byte("x"), 100), "end record"},
		"data before":               {append([]byte("x"), good(false)...), "between the zip's directory and its end"},
		"data before, Zip64":        {append([]byte("x"), good(true)...), "Zip64 locator"},
		"data after":                {append(good(false), 'x'), "end record"},
		"comment":                   {append(edit(false, 2, 1), 'x'), "end record"},
		"comment length only":       {edit(false, 2, 1), "end record"},
		"several disks":             {edit(false, 18, 1), "several parts"},
		"directory on another disk": {edit(false, 16, 1), "several parts"},
		"other count here":          {edit(false, 14, 1), "several parts"},
		"fewer files":               {func() []byte { b := edit(false, 14, 1); b[len(b)-12] = 1; return b }(), "between the zip's directory"},
		"more files":                {func() []byte { b := edit(false, 14, 3); b[len(b)-12] = 3; return b }(), "cut off"},
		"other offset":              {edit(false, 6, 0), "directory"},
		"wrong locator":             {edit(true, 42, 0), "locator"},
		"locator elsewhere":         {edit(true, 34, 0), "locator"},
		"several parts in Zip64":    {edit(true, 26, 2), "locator"},
		"wrong Zip64 end":           {edit(true, 98, 0), "Zip64 end"},
		"Zip64 end longer":          {edit(true, 94, 45), "Zip64 end"},
		"counts in Zip64 differ":    {edit(true, 74, 9), "Zip64 end"},
		"hidden in the directory":   {central.end(false), "between the zip's directory"},
		"hidden before directory":   {before.end(false), "does not end where"},
		"cut at the beginning":      {good(false)[10:], "between the zip's directory and its end"},
	} {
		wantZipRefusal(t, name, tt.b, tt.reason)
	}
	if got, err := readAll(empty.end(false)); err != nil || len(got) != 0 {
		t.Errorf("empty zip: %v", err)
	}
	// The end records must agree where both speak.
	b := good(true)
	binary.LittleEndian.PutUint16(b[len(b)-12:], 3)
	binary.LittleEndian.PutUint16(b[len(b)-14:], 3)
	wantZipRefusal(t, "end records disagree", b, "disagree")
}

// TestZipOfGo reads what archive/zip writes, and refuses its comments and links.
func TestZipOfGo(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*zip.Writer, *zip.FileHeader)
		reason string
	}{
		"plain":   {func(*zip.Writer, *zip.FileHeader) {}, ""},
		"stored":  {func(_ *zip.Writer, h *zip.FileHeader) { h.Method = zip.Store }, ""},
		"comment": {func(w *zip.Writer, _ *zip.FileHeader) { _ = w.SetComment("x") }, "end record"},
		"prefix":  {func(w *zip.Writer, _ *zip.FileHeader) { w.SetOffset(3) }, "data before"},
		"link":    {func(_ *zip.Writer, h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }, "neither links"},
	} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		h := &zip.FileHeader{Name: "a/b", Method: zip.Deflate}
		tt.change(w, h)
		if name == "prefix" {
			out.WriteString("abc")
		}
		file, err := w.CreateHeader(h)
		must(t, err)
		_, err = file.Write(someText)
		must(t, err)
		must(t, w.Close())
		if tt.reason != "" {
			wantZipRefusal(t, name, out.Bytes(), tt.reason)
			continue
		}
		if got, err := readAll(out.Bytes()); err != nil || got["a/b"] != string(someText) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
