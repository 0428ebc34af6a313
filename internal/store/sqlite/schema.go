package sqlite

// schemaVersion is kept in meta; a database of a higher one is refused.
const schemaVersion = 1

// Words (ids, actions) are kept once, in terms, and stand in entries as small
// integers. Columns that queries look at come before the body, so that they are
// found without reading over it.
//
// An append writes as few pages as it can, for it is bound by them. Entries and
// hashes grow at their ends. A current document is not copied: documents say
// which bytes of which entry's body it is, size 0 if it is deleted; so their rows
// are small, and what changes lies close together. Entries have no indexes;
// postings, written later and in bulk, take their place (index.go).
const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
	seq INTEGER PRIMARY KEY,
	time TEXT NOT NULL,
	scope INTEGER NOT NULL,
	action INTEGER NOT NULL,
	outcome INTEGER NOT NULL,
	actor INTEGER NOT NULL,
	app INTEGER NOT NULL,
	target INTEGER NOT NULL,
	docs BLOB,
	hash BLOB NOT NULL,
	salt BLOB,
	body BLOB
);
CREATE TABLE postings (
	key INTEGER NOT NULL, segment INTEGER NOT NULL, data BLOB NOT NULL,
	PRIMARY KEY (key, segment)
) WITHOUT ROWID;
CREATE TABLE hashes (tile INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE documents (
	kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, seq INTEGER NOT NULL,
	at INTEGER NOT NULL, size INTEGER NOT NULL, born INTEGER NOT NULL, ladder BLOB NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE keys (
	kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, id TEXT NOT NULL,
	PRIMARY KEY (kind, name, value, id)
) WITHOUT ROWID;
CREATE TABLE sealed (
	id TEXT PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, ciphertext BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE wrapped (
	scope TEXT PRIMARY KEY, id TEXT NOT NULL, wrapped BLOB
) WITHOUT ROWID;
CREATE TABLE jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL
);
`

// selectDocument gives the bytes of a row d of documents; no row, no bytes.
const selectDocument = `CASE WHEN d.size > 0 THEN (SELECT substr(e.body, d.at + 1, d.size) FROM entries e WHERE e.seq = d.seq) END`

// pragmas of every connection. FULL syncs the WAL at each commit: an
// acknowledged entry survives power loss. Checkpoints run in the background.
const pragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)" +
	"&_pragma=wal_autocheckpoint(0)&_pragma=cell_size_check(1)&_pragma=foreign_keys(0)&_pragma=secure_delete(1)"

// Page caches, in KiB: the writer's holds the pages that appends touch, each of
// a few readers what a query walks over.
const (
	writerCache = "&_pragma=cache_size(-32768)"
	readerCache = "&_pragma=cache_size(-8192)"
)
