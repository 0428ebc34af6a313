// Check 4 of spec/evidence-pack.md: bodies.
import { hex, latin1, sha256 } from './bytes.mjs';
import { checkRevs } from './documents.mjs';
import { inPeriod, lines } from './headers.mjs';
import { isObject, list, parseBody, record } from './json.mjs';
import { isDigest } from './manifest.mjs';
import { base64 } from './note.mjs';
import { need, within } from './refusal.mjs';

const BODIES = 'ledger/bodies';
const MAX_LINE = 4 << 20;
const BODY = Uint8Array.of(2);
const KINDS = ['account', 'service', 'system', 'anonymous'];
const VIAS = ['api', 'cli', 'console', 'git', 'ssh', 'rendezvous', 'reconciler', 'probe', 'scheduler'];

// readBodies returns the entries {header, body} by seq; the in-scope headers
// that have none, each with what a body.erase says of it, if one does.
export async function readBodies(files, ledger, pace) {
  return within('bodies', BODIES, async () => {
    const { period } = files.manifest, scopes = new Set(files.manifest.scopes);
    const entries = [];
    const found = lines(await files.read(BODIES));
    for (const line of found) {
      if (pace.due()) await pace.rest(entries.length, found.length);
      const entry = readBody(line, ledger.bySeq);
      need(entries.length === 0 || entries.at(-1).header.seq < entry.header.seq, `seq ${entry.header.seq}: bodies are not by seq`);
      entries.push(entry);
    }
    for (const { header } of entries) need(scopes.has(header.scope), `seq ${header.seq}: its scope ${header.scope} is not one of this pack`);
    const missing = checkPresent(ledger, entries, readErased(entries, ledger.bySeq), { period, scopes });
    checkRevs(entries, missing, { period, contiguous: ledger.contiguous });
    return { entries, missing };
  });
}

// `<seq> <salt, base64> <body bytes>\n`; body = SHA-256(0x02 ‖ salt ‖ body bytes).
function readBody(line, bySeq) {
  need(line.length <= MAX_LINE, 'a line is longer than 4 MiB');
  const found = /^(0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/=]{24}) /.exec(latin1(line.subarray(0, 64)));
  need(found, `not a line of seq, salt and body: ${latin1(line.subarray(0, 60))}`);
  const seq = Number(found[1]);
  const at = (condition, reason) => need(condition, `seq ${seq}: ${reason}`);
  const header = bySeq.get(seq);
  at(header, 'a body without a header');
  const salt = base64(found[2], `seq ${seq}: salt`);
  at(salt.length === 16, 'the salt is not of 16 bytes');
  const bytes = line.subarray(found[0].length);
  at(hex(sha256(BODY, salt, bytes)) === header.body, 'the body does not match its header');
  const body = parseBody(bytes, `seq ${seq}: `);
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

// readErased collects what body.erase entries name: bodies of earlier entries in
// the same scope (ledger.md "Erasure").
function readErased(entries, bySeq) {
  const erased = new Map();
  for (const { header, body } of entries) {
    if (body.action !== 'body.erase' || body.outcome !== 'ok') continue;
    for (const item of list(body.erased, `seq ${header.seq}: erased`)) {
      need(isObject(item) && Number.isSafeInteger(item.seq) && typeof item.rule === 'string', `seq ${header.seq}: an erased body without seq or rule`);
      const named = bySeq.get(item.seq);
      if (item.seq < header.seq && named?.scope === header.scope) erased.set(item.seq, item);
    }
  }
  return erased;
}

// checkPresent: every header of the period whose scope is in scopes has its body
// or is named by a body.erase. What lies outside the period is in the pack as a
// boundary, which needs no body; for the opening state, with its body; or, after
// the period, because it is a body.erase that names one of these.
function checkPresent(ledger, entries, erased, { period, scopes }) {
  const have = new Map(entries.map((entry) => [entry.header.seq, entry]));
  const missing = [];
  for (const header of ledger.headers) {
    const { seq, time } = header, entry = have.get(seq);
    if (time >= period.to) {
      need(entry || seq === ledger.closing, `seq ${seq}: an entry after the period, without a body`);
      need(!entry || entry.body.action === 'body.erase', `seq ${seq}: a body from after the period`);
    } else if (!entry && inPeriod(header, period)) {
      need(!scopes.has(header.scope) || erased.has(seq), `seq ${seq}: its body is missing, and no body.erase names it`);
    } else if (!entry) {
      need(erased.has(seq) || seq === ledger.boundary || ledger.fromZero, `seq ${seq}: its body is missing, and the entry is older than the period: only its body is of use`);
    }
    // The boundary is not known to have held anything, unless all before it is there.
    const counts = !entry && time < period.to && scopes.has(header.scope) && (seq !== ledger.boundary || ledger.fromZero || erased.has(seq));
    if (counts) missing.push({ header, erased: erased.get(seq) });
  }
  return missing;
}
