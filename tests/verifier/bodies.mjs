// Checks 4 and 5 of spec/evidence-pack.md: bodies and blobs.
import { canonical, isObject, list, parse, record } from './json.mjs';
import { isDigest } from './manifest.mjs';
import { base64, sha256 } from './note.mjs';
import { need, within } from './refusal.mjs';
import { lines } from './headers.mjs';

const BODIES = 'ledger/bodies';
const MAX_LINE = 4 << 20;
const KINDS = ['account', 'service', 'system', 'anonymous'];
const VIAS = ['api', 'cli', 'console', 'git', 'ssh', 'rendezvous', 'reconciler', 'probe', 'scheduler'];

// readBodies returns the entries {header, body} by seq, and what was erased.
export function readBodies(files, ledger) {
  return within('bodies', BODIES, () => {
    const { period, scopes } = files.manifest;
    const entries = [];
    for (const line of lines(files.read(BODIES))) {
      const entry = readBody(line, ledger.bySeq);
      need(entries.length === 0 || entries.at(-1).header.seq < entry.header.seq, `seq ${entry.header.seq}: bodies are not by seq`);
      entries.push(entry);
    }
    for (const { header } of entries) need(scopes.includes(header.scope), `seq ${header.seq}: its scope ${header.scope} is not one of this pack`);
    const erased = checkErased(entries, ledger.bySeq);
    checkPresent(ledger, entries, erased, { period, scopes });
    checkRevs(entries, erased, period);
    checkOpeningNeeded(entries, period);
    return { entries, erased };
  });
}

// inPeriod: an entry is in the period if from ≤ time < to.
export const inPeriod = (header, { from, to }) => from <= header.time && header.time < to;

// `<seq> <salt, base64> <body bytes>\n`; body = SHA-256(0x02 ‖ salt ‖ body bytes).
function readBody(line, bySeq) {
  need(line.length <= MAX_LINE, 'a line is longer than 4 MiB');
  const found = /^(0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/=]{24}) /.exec(line.toString('latin1', 0, 64));
  need(found, `not a line of seq, salt and body: ${line.toString('utf8', 0, 60)}`);
  const seq = Number(found[1]);
  const at = (condition, reason) => need(condition, `seq ${seq}: ${reason}`);
  const header = bySeq.get(seq);
  at(header, 'a body without a header');
  const salt = base64(found[2], `seq ${seq}: salt`);
  at(salt.length === 16, 'the salt is not of 16 bytes');
  const bytes = line.subarray(found[0].length);
  at(sha256(Buffer.from([2]), salt, bytes).toString('hex') === header.body, 'the body does not match its header');
  const body = parse(bytes, { body: true, what: `seq ${seq}: ` });
  // RFC 8785: verifiers re-serialise and compare.
  at(Buffer.from(canonical(body)).equals(bytes), 'the body is not canonical');
  checkShape(body, at);
  return { header, body };
}

// checkShape wants what ledger.md section 2 says is always there, and the shape
// of what this verifier computes with.
function checkShape(body, at) {
  at(isObject(body), 'the body is not an object');
  at(/^[^.\s]+\.[^\s]+$/.test(body.action), 'action is not noun.verb');
  at(['ok', 'denied', 'failed'].includes(body.outcome), 'unknown outcome');
  at(isObject(body.actor) && KINDS.includes(body.actor.kind), 'unknown kind of actor');
  at(VIAS.includes(body.via), 'unknown via');
  at(typeof body.request_id === 'string', 'no request_id');
  at(isObject(body.target), 'no target');
  for (const change of list(body.changes ?? [], 'changes')) {
    record(change, ['kind', 'id', 'rev', 'doc'], 'a change');
    at(typeof change.kind === 'string' && typeof change.id === 'string', 'a change without kind or id');
    at(Number.isSafeInteger(change.rev) && change.rev >= 1, 'a change whose rev is not a positive integer');
    at(change.doc === null || isObject(change.doc), 'a change whose doc is neither an object nor null');
  }
  for (const blob of list(body.blobs ?? [], 'blobs')) {
    at(isObject(blob) && isDigest(blob.sha256) && Number.isSafeInteger(blob.size) && blob.size >= 0, 'a blob without digest or size');
  }
}

// checkErased collects what body.erase entries name: seqs of the same scope,
// before them (ledger.md "Erasure").
function checkErased(entries, bySeq) {
  const erased = new Map();
  for (const { header, body } of entries) {
    if (body.action !== 'body.erase' || body.outcome !== 'ok') continue;
    for (const item of list(body.erased, `seq ${header.seq}: erased`)) {
      need(isObject(item) && Number.isSafeInteger(item.seq) && typeof item.rule === 'string', `seq ${header.seq}: an erased body without seq or rule`);
      need(item.seq < header.seq, `seq ${header.seq}: names seq ${item.seq}, which comes later`);
      const named = bySeq.get(item.seq);
      need(!named || named.scope === header.scope, `seq ${header.seq}: erases seq ${item.seq} of another scope`);
      erased.set(item.seq, item);
    }
  }
  return erased;
}

// Every header of the period whose scope is in scopes has its body or is named
// by a body.erase. What is older is there as the boundary (the last entry before
// from) or for the opening state, and then with its body.
function checkPresent({ headers }, entries, erased, { period, scopes }) {
  const have = new Set(entries.map(({ header }) => header.seq));
  headers.forEach((header, i) => {
    if (have.has(header.seq) || erased.has(header.seq)) return;
    if (header.time >= period.from) {
      need(!inPeriod(header, period) || !scopes.includes(header.scope), `seq ${header.seq}: its body is missing, and no body.erase names it`);
      return;
    }
    const boundary = headers[i + 1]?.seq === header.seq + 1 && headers[i + 1].time >= period.from;
    need(boundary, `seq ${header.seq}: its body is missing, and the entry is older than the period: only its body is of use`);
  });
}

// rev grows by exactly 1 per (kind,id), also across deletion. Before the period
// only newest documents are in the pack, and a document that joins from another
// scope goes on with what it had there: there rev only has to grow.
function checkRevs(entries, erased, period) {
  const revs = new Map();
  const erasedBefore = [...erased.keys()].some((seq) => seq < entries.find(({ header }) => inPeriod(header, period))?.header.seq);
  for (const { header, body } of entries) {
    for (const { kind, id, rev } of body.changes ?? []) {
      const key = documentKey(kind, id), last = revs.get(key);
      const joins = body.action.endsWith('.join') || header.time < period.from;
      const what = `seq ${header.seq}: ${kind} ${id} has rev ${rev}`;
      if (last !== undefined) need(joins ? rev > last : rev === last + 1, `${what} after rev ${last}`);
      // A first rev of 2 means that rev 1 lived when the period began, and so
      // belongs to the opening state. From 3 on it may have been deleted before.
      else need(joins || rev !== 2 || erasedBefore, `${what}, and rev 1 is not in the pack`);
      revs.set(key, rev);
    }
  }
}

// "Boundary entries outside the period have no body, unless needed": one with a
// body wrote a document that lives when the period begins.
function checkOpeningNeeded(entries, { from, to }) {
  const opening = state(entries, (header) => header.time < from);
  const needed = new Set([...opening.values()].map(({ entry }) => entry.header.seq));
  for (const { header } of entries) {
    need(header.time < to, `seq ${header.seq}: a body of an entry after the period`);
    need(header.time >= from || needed.has(header.seq), `seq ${header.seq}: a body from before the period that holds no document of the opening state`);
  }
}

const documentKey = (kind, id) => JSON.stringify([kind, id]);

// state is nothing else than the newest doc per (kind,id) (ledger.md section 2):
// the living documents after the entries that the condition admits.
export function state(entries, admits) {
  const documents = new Map();
  for (const entry of entries.filter(({ header }) => admits(header))) {
    for (const { kind, id, rev, doc } of entry.body.changes ?? []) {
      if (doc === null) documents.delete(documentKey(kind, id));
      else documents.set(documentKey(kind, id), { kind, id, rev, doc, entry });
    }
  }
  return documents;
}

// checkBlobs is check 5: every blob named by an in-scope body of the period is
// present and matches, or is listed in blobs_left_out. It returns how many are
// left out.
export function checkBlobs(files, entries) {
  const leftOut = new Set(files.manifest.blobs_left_out.map((blob) => blob.sha256));
  const missing = new Set();
  for (const { header, body } of entries.filter((entry) => inPeriod(entry.header, files.manifest.period))) {
    for (const { sha256: digest, size } of body.blobs ?? []) {
      const path = `blobs/${digest.slice('sha256:'.length)}`, file = files.listed.get(path);
      within('blobs', path, () => {
        need(file || leftOut.has(digest), `seq ${header.seq} names it; it is neither there nor in blobs_left_out`);
        need(!file || (file.sha256 === digest && file.bytes === size), `is not what seq ${header.seq} names`);
      });
      if (!file) missing.add(digest);
    }
  }
  for (const [path, file] of files.listed) {
    if (path.startsWith('blobs/')) within('blobs', path, () => need(path === `blobs/${file.sha256.slice('sha256:'.length)}`, 'is not named by its digest'));
  }
  return missing.size;
}
