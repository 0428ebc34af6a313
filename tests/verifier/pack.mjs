// The checks of spec/evidence-pack.md, in their order.
import { checkBlobs } from './blobs.mjs';
import { readBodies } from './bodies.mjs';
import { checkOpening } from './documents.mjs';
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
    const { entries, missing } = readBodies(files, ledger);
    const leftOut = checkBlobs(files, entries);
    const reports = checkReports(files, entries);
    const pack = { manifest: files.manifest, ...signed, grown, ...ledger, entries, missing, erased: countByRule(missing), leftOut, reports };
    pack.opening = checkOpening(pack, trust.previous && verifyPack(trust.previous, { key: signed.key }));
    return pack;
  } finally {
    zip.close();
  }
}

// Check 2: checkpoint and manifest.sig by the given log key alone; cosignatures
// by the given witness keys.
function checkSignatures(files, trust) {
  const { manifest } = files;
  const note = within('signatures', 'checkpoint', () => parseNote(files.read('checkpoint')));
  const key = trust.key ?? within('signatures', 'keys.json', () => claimedKey(files, note));
  const read = within('signatures', 'checkpoint', () => {
    signedBy(note, key);
    const found = checkpoint(note.text);
    need(found.installation === manifest.installation, `is of the installation ${found.installation}, the manifest of ${manifest.installation}`);
    return found;
  });
  within('signatures', 'manifest.sig', () => {
    const signature = parseNote(files.signature);
    signedBy(signature, key);
    const text = `strongroom-evidence/1\n${manifest.installation}\nsha256:${sha256(files.raw).toString('hex')}\n`;
    need(signature.text === text, 'signs another manifest');
  });
  within('signatures', 'keys.json', () => keys(files)); // information only, but well-formed
  return { key, checkpoint: read, witnessed: within('signatures', 'checkpoint', () => checkWitnesses(note, trust, manifest.period)) };
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

// The count of erased bodies is printed, by rule.
function countByRule(missing) {
  const counts = new Map();
  for (const { erased } of missing) {
    if (erased) counts.set(erased.rule, (counts.get(erased.rule) ?? 0) + 1);
  }
  return counts;
}
