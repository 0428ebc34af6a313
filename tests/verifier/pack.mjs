// The checks of spec/evidence-pack.md, in their order.
import { checkBlobs, readBodies, state } from './bodies.mjs';
import { readHeaders } from './headers.mjs';
import { list, parse, record } from './json.mjs';
import { Files } from './manifest.mjs';
import { ED25519, checkpoint, cosignedAt, parseNote, sha256, signedBy, verifierKey } from './note.mjs';
import { need, within } from './refusal.mjs';
import { checkReports } from './reports.mjs';
import { checkConsistency, hashes } from './tree.mjs';
import { Zip } from './zip.mjs';

// verifyPack runs checks 1 to 7 and returns what it found; the first check that
// fails throws Refused. trust is check 0: {key, witnesses, quorum, since,
// previous}, all from outside the pack; key may be missing.
export function verifyPack(path, trust) {
  const zip = within('form', 'the zip', () => new Zip(path));
  try {
    const files = new Files(zip);
    const signed = checkSignatures(files, trust);
    const ledger = readHeaders(files, signed.checkpoint);
    const grown = checkSince(files, signed, trust.since);
    const { entries, erased } = readBodies(files, ledger);
    const leftOut = checkBlobs(files, entries);
    const reports = checkReports(files, entries);
    const pack = { manifest: files.manifest, ...signed, grown, ...ledger, entries, erased: erasedHere(erased, ledger, entries), leftOut, reports };
    pack.opening = checkOpening(pack, trust);
    return pack;
  } finally {
    zip.close();
  }
}

// Check 2: checkpoint and manifest.sig by the given log key alone; cosignatures
// by the given witness keys.
function checkSignatures(files, trust) {
  const { manifest } = files;
  const note = within('signature', 'checkpoint', () => parseNote(files.read('checkpoint')));
  const key = trust.key ?? within('signature', 'keys.json', () => claimedKey(files, note));
  const read = within('signature', 'checkpoint', () => {
    signedBy(note, key);
    const found = checkpoint(note.text);
    need(found.installation === manifest.installation, `is of the installation ${found.installation}, the manifest of ${manifest.installation}`);
    return found;
  });
  within('signature', 'manifest.sig', () => {
    const signature = parseNote(files.signature);
    signedBy(signature, key);
    const text = `strongroom-evidence/1\n${manifest.installation}\nsha256:${sha256(files.raw).toString('hex')}\n`;
    need(signature.text === text, 'signs another manifest');
  });
  within('signature', 'keys.json', () => keys(files)); // information only, but well-formed
  return { key, checkpoint: read, witnessed: within('signature', 'checkpoint', () => checkWitnesses(note, trust, manifest.period)) };
}

function keys(files) {
  return list(parse(files.read('keys.json')), 'keys.json').map((item) => record(item, ['name', 'key'], 'a key'));
}

// Without a key from outside the pack can only be consistent with itself: with
// the log key that it claims.
function claimedKey(files, note) {
  const claimed = keys(files).map((item) => verifierKey(item.key)).filter((key) => key.type === ED25519);
  const key = claimed.find((candidate) => note.signatures.some((s) => s.name === candidate.name && s.id.equals(candidate.id)));
  need(key, 'names no key that signed the checkpoint');
  return key;
}

// `witnessed by X at T`, T ≥ to; all given witnesses are needed unless a quorum is named.
function checkWitnesses(note, { witnesses = [], quorum = witnesses.length }, { to }) {
  const found = [];
  for (const witness of witnesses) {
    const seconds = cosignedAt(note, witness);
    if (seconds === null) continue;
    const time = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.000000000Z`;
    if (time >= to) found.push({ name: witness.name, time });
  }
  need(found.length >= quorum, `${found.length} of the ${witnesses.length} given witnesses cosigned it after the period's end, ${quorum} are needed`);
  return found;
}

// The last of check 3: with --since, the log only grew since an old checkpoint.
function checkSince(files, { key, checkpoint: now }, since) {
  if (!since) return null;
  const old = within('headers', 'the old checkpoint', () => {
    const note = parseNote(since);
    signedBy(note, key);
    return checkpoint(note.text);
  });
  within('headers', 'ledger/consistency.json', () => {
    const { from, proof } = record(parse(files.read('ledger/consistency.json')), ['from', 'proof'], 'consistency.json');
    need(old.origin === now.origin, `the old checkpoint is of the log ${old.origin}, this one of ${now.origin}`);
    need(from === old.size, `proves growth from ${from}, the old checkpoint has ${old.size} entries`);
    checkConsistency(old.size, old.root, now.size, now.root, hashes(list(proof, 'proof')));
  });
  return old.size;
}

// The count of erased bodies is printed, by rule: those of headers in the pack.
function erasedHere(erased, { bySeq }, entries) {
  const present = new Set(entries.map(({ header }) => header.seq));
  const counts = new Map();
  for (const [seq, { rule }] of erased) {
    if (bySeq.has(seq) && !present.has(seq)) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  }
  return counts;
}

// Check 7: opening state, proven if the range starts at 0, or by the previous
// pack whose closing state equals it; otherwise as claimed.
function checkOpening(pack, trust) {
  const { from } = pack.manifest.period;
  const opening = describe(pack.entries, (header) => header.time < from);
  if (trust.previous) {
    const previous = verifyPack(trust.previous, { key: pack.key });
    return withPrevious(pack, previous, opening);
  }
  // From 0 on nothing is hidden if every in-scope body before the period is there.
  const have = new Set(pack.entries.map(({ header }) => header.seq));
  const whole = pack.headers.every((header) => header.time >= from || have.has(header.seq) || !pack.manifest.scopes.includes(header.scope));
  return pack.ranges[0][0] === 0 && pack.ranges.length === 1 && whole ? 'proven: the range starts at 0' : 'as claimed';
}

function withPrevious(pack, previous, opening) {
  within('opening', 'the previous pack', () => {
    need(previous.checkpoint.origin === pack.checkpoint.origin, 'is of another log');
    need(previous.manifest.period.to === pack.manifest.period.from, 'does not end when this period begins');
    need(pack.manifest.scopes.every((scope) => previous.manifest.scopes.includes(scope)), 'lacks a scope of this pack');
  });
  const { scopes, period } = pack.manifest;
  const closing = describe(previous.entries, (header) => header.time < period.from && scopes.includes(header.scope));
  for (const [document, text] of closing) within('opening', 'ledger/bodies', () => need(opening.get(document) === text, `${document}: is not what the previous pack ends with`));
  for (const document of opening.keys()) within('opening', 'ledger/bodies', () => need(closing.has(document), `${document}: the previous pack does not end with it`));
  return `proven by the previous pack, whose own is ${previous.opening}`;
}

// describe maps each living document to the entry that wrote it.
function describe(entries, admits) {
  return new Map([...state(entries, admits)].map(([name, { rev, entry }]) => [name, `${entry.header.seq} ${entry.header.body} ${rev}`]));
}
