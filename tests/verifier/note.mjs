// Signed notes and their keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
import { createHash, createPublicKey, verify } from 'node:crypto';
import { utf8 } from './json.mjs';
import { need } from './refusal.mjs';

export const ED25519 = 0x01, COSIGNATURE = 0x04;
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
export const isUUID = (text) => typeof text === 'string' && new RegExp(`^${UUID}$`).test(text);

export const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

// base64: standard, padded, strict (spec/ledger.md section 2).
export function base64(text, what) {
  need(typeof text === 'string', `${what} is not base64`);
  const bytes = Buffer.from(text, 'base64');
  need(bytes.toString('base64') === text, `${what} is not strict base64`);
  return bytes;
}

// verifierKey reads name+hash+base64(type ‖ key); the hash must be the key's own.
export function verifierKey(text) {
  const found = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text);
  need(found, 'not a verifier key');
  const [, name, hash, encoded] = found;
  const key = base64(encoded, 'verifier key');
  need(key.length === 33 && (key[0] === ED25519 || key[0] === COSIGNATURE), 'not an Ed25519 verifier key');
  const id = sha256(`${name}\n`, key).subarray(0, 4);
  need(id.toString('hex') === hash, 'verifier key with a wrong hash');
  const x = key.subarray(1).toString('base64url');
  return { text, name, id, type: key[0], key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }) };
}

// fingerprint is the key's short form, for comparison by eye (docs/reference/ledger.md).
export const fingerprint = (key) => `sha256:${sha256(key.text).toString('hex')}`;

// parseNote splits a note into its text and its signatures.
export function parseNote(bytes) {
  const note = utf8(bytes);
  need(!/[\x00-\x09\x0b-\x1f]/.test(note), 'note with control characters');
  const split = note.lastIndexOf('\n\n');
  need(split >= 0 && note.endsWith('\n') && split + 2 < note.length, 'not a signed note');
  const lines = note.slice(split + 2, -1).split('\n');
  return { text: note.slice(0, split + 1), signatures: lines.map(signatureLine) };
}

function signatureLine(line) {
  const found = /^\u2014 ([^+\s]+) (\S+)$/.exec(line);
  need(found, 'malformed signature line');
  const bytes = base64(found[2], 'signatures');
  need(bytes.length >= 5, 'signature too short');
  return { name: found[1], id: bytes.subarray(0, 4), bytes: bytes.subarray(4) };
}

const byKey = (note, key) => note.signatures.filter((s) => s.name === key.name && s.id.equals(key.id));

// signedBy wants the log's signature; one that fails rejects the note, even
// beside one that holds (evidence-pack.md, check 2).
export function signedBy(note, key) {
  const signatures = byKey(note, key);
  need(signatures.length > 0, `not signed by the given key ${key.name}`);
  for (const signature of signatures) need(verify(null, Buffer.from(note.text), key.key, signature.bytes), `the signature of ${key.name} fails`);
}

// cosignedAt is the time of a witness's newest cosignature, in seconds, or null.
export function cosignedAt(note, key) {
  let newest = null;
  for (const { bytes } of byKey(note, key)) {
    need(bytes.length === 72, `malformed cosignature of ${key.name}`);
    const time = bytes.readBigUInt64BE(0);
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${note.text}`);
    need(verify(null, message, key.key, bytes.subarray(8)), `the cosignature of ${key.name} fails`);
    need(time < 253402300800n, `the cosignature of ${key.name} is of no possible time`);
    if (newest === null || Number(time) > newest) newest = Number(time);
  }
  return newest;
}

// checkpoint reads the text of a checkpoint: exactly three lines, no extensions
// (ledger.md section 4).
export function checkpoint(text) {
  const lines = text.slice(0, -1).split('\n');
  need(lines.length === 3, `a checkpoint has three lines, this one ${lines.length}: extensions are not allowed`);
  const origin = new RegExp(`^strongroom/(${UUID})/(0|[1-9][0-9]{0,15})$`).exec(lines[0]);
  need(origin, 'origin is not strongroom/<installation>/<log number>');
  need(/^(0|[1-9][0-9]{0,15})$/.test(lines[1]) && Number.isSafeInteger(Number(lines[1])), 'tree size');
  const root = base64(lines[2], 'root hash');
  need(root.length === 32, 'root hash is not of 32 bytes');
  return { origin: lines[0], installation: origin[1], size: Number(lines[1]), root };
}
