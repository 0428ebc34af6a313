package sqlite

// schemaVersion is kept in meta; a database of a higher one is refused.
const schemaVersion = 1

// Words (ids, actions) that the entry indexes are over are kept once, in terms,
// so that an index entry is two small integers instead of a UUID's 36 bytes:
// the append is bound by the size of its B-trees.
const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
	seq INTEGER PRIMARY KEY,
	time TEXT NOT NULL,
	scope INTEGER NOT NULL,
	hash BLOB NOT NULL,
	salt BLOB,
	body BLOB,
	action INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	actor INTEGER NOT NULL,
	app INTEGER NOT NULL,
	target INTEGER NOT NULL
);
CREATE INDEX entries_scope ON entries (scope);
CREATE INDEX entries_action ON entries (action);
CREATE INDEX entries_actor ON entries (actor);
CREATE INDEX entries_app ON entries (app) WHERE app <> 0;
CREATE INDEX entries_target ON entries (target) WHERE target <> 0;
CREATE TABLE hashes (tile INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE documents (
	kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, seq INTEGER NOT NULL, doc BLOB,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE changes (
	kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, rev INTEGER NOT NULL,
	PRIMARY KEY (kind, id, seq)
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

// pragmas of every connection. FULL syncs the WAL at each commit: an
// acknowledged entry survives power loss. Checkpoints run in the background.
const pragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)" +
	"&_pragma=wal_autocheckpoint(0)&_pragma=cell_size_check(1)&_pragma=foreign_keys(0)&_pragma=secure_delete(1)"
