// Check 1 of spec/evidence-pack.md: the zip's form, every file's digest, no file
// that the manifest does not list.
import { list, parse, record } from './json.mjs';
import { digest, hex } from './bytes.mjs';
import { isUUID } from './note.mjs';
import { need, within } from './refusal.mjs';
import { memberName } from './zip.mjs';

const MAX_MANIFEST = 16 << 20;
const MAX_SIGNATURE = 1 << 20; // not bounded by the spec; a note is far smaller
// Files up to this size are read at once: the platform's hash is faster than ours.
const WHOLE = 256 << 20;
const MAX_JSON = 128 << 20;
const UNLISTED = ['manifest.json', 'manifest.sig'];
const REQUIRED = ['index.html', 'checkpoint', 'keys.json', 'ledger/headers', 'ledger/bodies', 'ledger/range.json', 'reports/index.json'];
const MEMBERS = ['format', 'installation', 'scope', 'scopes', 'period', 'simulated', 'created_at', 'program', 'blobs_left_out', 'files'];

// Files is the pack's content after check 1: what it returns has the digest that
// the manifest gives.
export class Files {
  static async open(zip, pace) {
    const files = new Files();
    files.zip = zip;
    files.kept = new Map();
    files.raw = await within('form', 'manifest.json', () => zip.read('manifest.json', MAX_MANIFEST));
    files.signature = await within('form', 'manifest.sig', () => zip.read('manifest.sig', MAX_SIGNATURE));
    files.manifest = within('form', 'manifest.json', () => readManifest(files.raw));
    files.listed = new Map(files.manifest.files.map((file) => [file.path, file]));
    files.bytes = files.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    await files.#check(pace);
    return files;
  }

  // read gives a listed file again: check 1 has compared all digests, and the
  // same is done here, since the file on disk may change in between.
  async read(path) {
    const kept = this.kept.get(path), file = this.listed.get(path);
    this.kept.delete(path);
    if (kept) return kept;
    need(file, 'missing');
    const bytes = await this.zip.read(path, file.bytes); // reading stops at the manifest's bytes
    this.#matches(file, bytes.length, hex(await digest(bytes)));
    return bytes;
  }

  async #json(path) {
    need(this.listed.get(path).bytes <= MAX_JSON, 'is larger than JSON in a pack may be');
    return this.read(path);
  }

  async #keep(path) {
    const bytes = await this.read(path);
    if (path.startsWith('ledger/')) this.kept.set(path, bytes);
    return bytes.length;
  }

  // #stream compares the digest of a file that is better not held.
  async #stream(path, passed) {
    const file = this.listed.get(path);
    const found = await this.zip.digest(path, file.bytes, passed);
    this.#matches(file, this.zip.members.get(path).size, found);
  }

  #matches(file, bytes, digest) {
    need(bytes === file.bytes, `has ${bytes} bytes, the manifest says ${file.bytes}`);
    need(`sha256:${digest}` === file.sha256, 'its digest is not the manifest\'s');
  }

  // #check compares every digest. It keeps the entries, which are asked for next
  // and are most of a pack.
  async #check(pace) {
    let done = 0;
    const passed = async (bytes) => {
      done += bytes;
      if (pace.due()) await pace.rest(done, this.bytes);
    };
    for (const name of this.zip.members.keys()) within('form', name, () => need(UNLISTED.includes(name) || this.listed.has(name), 'the manifest does not list it'));
    for (const name of REQUIRED) within('form', name, () => need(this.listed.has(name), 'the manifest does not list it, and every pack has it'));
    for (const path of this.listed.keys()) {
      await within('form', path, async () => {
        // ledger.md section 2: duplicate members MUST be rejected in every JSON file of a pack.
        if (path.endsWith('.json')) parse(await this.#json(path));
        else if (this.listed.get(path).bytes <= WHOLE) await passed(await this.#keep(path));
        else await this.#stream(path, passed);
      });
    }
  }
}

function readManifest(bytes) {
  const manifest = record(parse(bytes), MEMBERS, 'manifest');
  need(manifest.format === 'strongroom-evidence/1', `format ${JSON.stringify(manifest.format)} is not strongroom-evidence/1`);
  need(isUUID(manifest.installation), 'installation is not a UUID');
  need(typeof manifest.simulated === 'boolean', 'simulated is not a boolean');
  need(typeof manifest.program === 'string', 'program is not a string');
  need(isTime(manifest.created_at), 'created_at is not a time');
  const { from, to } = record(manifest.period, ['from', 'to'], 'period');
  need(isTime(from) && isTime(to) && from <= to, 'period is not two times in order');
  checkScopes(manifest);
  checkLeftOut(manifest.blobs_left_out);
  checkFiles(manifest.files);
  return manifest;
}

// scopes = the spaces, the teams that owned them, and always null.
function checkScopes({ scope, scopes }) {
  const { spaces } = record(scope, ['spaces'], 'scope');
  list(scopes, 'scopes');
  const known = new Set(scopes);
  need(scopes.every((id) => id === null || isUUID(id)) && known.size === scopes.length, 'scopes are not different UUIDs and null');
  need(scopes.includes(null), 'scopes lack null');
  for (const space of spaces === null ? [] : list(spaces, 'scope.spaces')) need(isUUID(space) && known.has(space), `scopes lack the space ${space}`);
}

function checkLeftOut(blobs) {
  for (const blob of list(blobs, 'blobs_left_out')) {
    record(blob, ['sha256', 'reason'], 'blob left out');
    need(isDigest(blob.sha256) && typeof blob.reason === 'string', 'a blob left out has no digest or reason');
  }
}

function checkFiles(files) {
  const seen = new Set();
  for (const file of list(files, 'files')) {
    const { path, bytes } = record(file, ['path', 'sha256', 'bytes'], 'file');
    need(typeof path === 'string' && memberName(path), 'a file has no path');
    need(!seen.has(path.toLowerCase()) && !UNLISTED.includes(path), `${path} is listed twice or lists the manifest`);
    need(isDigest(file.sha256) && Number.isSafeInteger(bytes) && bytes >= 0, `${path} has no digest or size`);
    seen.add(path.toLowerCase());
  }
}

export const isDigest = (text) => typeof text === 'string' && /^sha256:[0-9a-f]{64}$/.test(text);

// isTime: UTC, nine decimals, and a time that exists (ledger.md section 1).
export function isTime(text) {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(text)) return false;
  const date = new Date(`${text.slice(0, 19)}Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 19) === text.slice(0, 19);
}
