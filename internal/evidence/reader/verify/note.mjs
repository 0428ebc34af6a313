// Signed notes and their keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
import { encode, equal, fromBase64, hex, sha256, view } from './bytes.mjs';
import { utf8 } from './json.mjs';
import { need, Unable } from './refusal.mjs';

export const ED25519 = 0x01;
export const COSIGNATURE = 0x04;
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
export const isUUID = (text) => typeof text === 'string' && new RegExp(`^${UUID}$`).test(text);

// base64: standard, padded, strict (spec/ledger.md section 2).
export function base64(text, what) {
  need(typeof text === 'string', `${what} is not base64`);
  const bytes = fromBase64(text);
  need(bytes, `${what} is not strict base64`);
  return bytes;
}

// verifierKey reads name+hash+base64(type ‖ key); the hash must be the key's own.
export function verifierKey(text) {
  const found = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text);
  need(found, 'not a verifier key');
  const [, name, hash, encoded] = found;
  const key = base64(encoded, 'verifier key');
  need(key.length === 33 && (key[0] === ED25519 || key[0] === COSIGNATURE), 'not an Ed25519 verifier key');
  const id = sha256(encode(`${name}\n`), key).subarray(0, 4);
  need(hex(id) === hash, 'verifier key with a wrong hash');
  return { text, name, id, type: key[0], point: key.subarray(1) };
}

// verifies checks an Ed25519 signature with what the platform has: a page opened
// from disk has WebCrypto, but an old browser may lack the algorithm.
async function verifies(key, signature, message) {
  const { subtle } = globalThis.crypto;
  let imported;
  try {
    imported = await subtle.importKey('raw', key.point, 'Ed25519', false, ['verify']);
  } catch (err) {
    if (err.name === 'DataError') return false; // no point of the curve
    throw new Unable(`this browser cannot check Ed25519 signatures (${err.name}): Chromium from 137, Firefox from 129 and Safari from 17 can`);
  }
  return subtle.verify('Ed25519', imported, signature, message);
}

// fingerprint is the key's short form, for comparison by eye (docs/reference/ledger.md).
export const fingerprint = (key) => `sha256:${hex(sha256(encode(key.text)))}`;

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

const byKey = (note, key) => note.signatures.filter((s) => s.name === key.name && equal(s.id, key.id));

// signedBy wants the log's signature; one that fails rejects the note, even
// beside one that holds (evidence-pack.md, check 2).
export async function signedBy(note, key) {
  const signatures = byKey(note, key);
  need(signatures.length > 0, `not signed by the given key ${key.name}`);
  for (const signature of signatures) need(await verifies(key, signature.bytes, encode(note.text)), `the signature of ${key.name} fails`);
}

// cosignedAt is the time of a witness's newest cosignature, in seconds, or null.
export async function cosignedAt(note, key) {
  let newest = null;
  for (const { bytes } of byKey(note, key)) {
    need(bytes.length === 72, `malformed cosignature of ${key.name}`);
    const time = view(bytes).getBigUint64(0);
    const message = encode(`cosignature/v1\ntime ${time}\n${note.text}`);
    need(await verifies(key, bytes.subarray(8), message), `the cosignature of ${key.name} fails`);
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
