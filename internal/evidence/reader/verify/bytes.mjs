// Bytes: what Node.js has in Buffer and a browser has not. And the one hash:
// SHA-256 of @noble/hashes, because WebCrypto's has no way to go on with a hash,
// and answers later, which for millions of small ones takes longer than they do.
import { sha256 as hasher } from '../noble/sha2.js';
import { Unable } from './refusal.mjs';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();
const ascii = new TextDecoder('latin1');

// sha256 hashes the parts one after the other.
export function sha256(...parts) {
  const hash = hasher.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

// digest hashes bytes that are all there, with what the platform has: faster.
export async function digest(bytes) {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw new Unable('there is no WebCrypto here: open the page from disk or over https');
  return new Uint8Array(await subtle.digest('SHA-256', bytes));
}

// hashing begins a hash of what comes piece by piece: update(bytes), digest().
export const hashing = () => hasher.create();

export const encode = (text) => encoder.encode(text);

// latin1 gives each byte as a character; compares and prints, decodes nothing.
export const latin1 = (bytes) => ascii.decode(bytes);

export function hex(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]];
  return text;
}

export function equal(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

// compare orders bytes as memcmp does.
export function compare(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));

// fromBase64 gives null for what is not standard, padded, strict base64.
export function fromBase64(text) {
  let decoded;
  try {
    decoded = atob(text);
  } catch {
    return null;
  }
  if (btoa(decoded) !== text) return null;
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < decoded.length; i++) bytes[i] = decoded.charCodeAt(i);
  return bytes;
}

// view reads numbers, little-endian unless said otherwise.
export const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
