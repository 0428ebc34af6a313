// Reading of a zip as spec/evidence-pack.md "Zip" bounds it. Whatever two zip
// readers could see differently is refused: the archive must consist of the
// members, back to back, the central directory and its end, and nothing else.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { Malformed, need } from './refusal.mjs';

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50, DESCRIPTOR = 0x08074b50;
const STORED = 0, DEFLATED = 8;
// Flags with a meaning here: deflate's speed, sizes after the data, UTF-8 names.
const FLAGS = 0x0002 | 0x0004 | 0x0008 | 0x0800;
const SIZES_FOLLOW = 0x0008;
// Extra fields that give a member a second name, a comment or encryption.
const FORBIDDEN_EXTRA = new Set([0x7075, 0x6375, 0x9901, 0x0017]);
const MAX_DIRECTORY = 1 << 30;

export class Zip {
  constructor(path) {
    this.fd = openSync(path, 'r');
    this.size = fstatSync(this.fd).size;
    this.members = new Map();
    const end = this.#end();
    const directory = this.#bytes(end.offset, end.size, 'central directory');
    const entries = centralEntries(directory, end.count);
    this.#uniqueNames(entries);
    this.#layout(entries, end.offset);
  }

  close() {
    closeSync(this.fd);
  }

  // read returns a member's bytes; more than limit is refused, not read.
  read(name, limit) {
    const entry = this.members.get(name);
    need(entry, 'missing');
    need(entry.size <= limit, `has ${entry.size} bytes; at most ${limit} are right`);
    const raw = this.#bytes(entry.data, entry.packed, name);
    const bytes = entry.method === STORED ? raw : inflate(raw, entry.size);
    need(bytes.length === entry.size, `has ${bytes.length} bytes, the zip says ${entry.size}`);
    need(crc32(bytes) === entry.crc, 'CRC-32 differs from the zip\'s');
    return bytes;
  }

  #bytes(offset, length, what) {
    need(Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.size, `zip: ${what} lies outside the file`);
    need(length <= MAX_DIRECTORY, `zip: ${what} is larger than this verifier reads`);
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length;) {
      const n = readSync(this.fd, bytes, done, length - done, offset + done);
      need(n > 0, `zip: ${what} ends early`);
      done += n;
    }
    return bytes;
  }

  // No data after, no comment: the end record is the file's last 22 bytes.
  #end() {
    need(this.size >= 22, 'zip: too short');
    const at = this.size - 22;
    const end = this.#bytes(at, 22, 'end record');
    need(end.readUInt32LE(0) === END && end.readUInt16LE(20) === 0, 'zip: does not end with an end record without comment');
    need(end.readUInt32LE(4) === 0, 'zip: several disks');
    need(end.readUInt16LE(8) === end.readUInt16LE(10), 'zip: counts of members disagree');
    let found = { count: end.readUInt16LE(10), size: end.readUInt32LE(12), offset: end.readUInt32LE(16), at };
    if (found.count === 0xffff || found.size === 0xffffffff || found.offset === 0xffffffff) found = this.#end64(at);
    need(found.offset + found.size === found.at, 'zip: data between the central directory and its end');
    return found;
  }

  // Zip64 allowed.
  #end64(at) {
    const locator = this.#bytes(at - 20, 20, 'Zip64 locator');
    need(locator.readUInt32LE(0) === LOCATOR64 && locator.readUInt32LE(4) === 0 && locator.readUInt32LE(16) === 1, 'zip: Zip64 locator');
    const start = number64(locator, 8);
    const end = this.#bytes(start, 56, 'Zip64 end record');
    need(end.readUInt32LE(0) === END64 && number64(end, 4) === 44 && start + 56 === at - 20, 'zip: Zip64 end record');
    need(end.readUInt32LE(16) === 0 && end.readUInt32LE(20) === 0 && number64(end, 24) === number64(end, 32), 'zip: several disks');
    return { count: number64(end, 32), size: number64(end, 40), offset: number64(end, 48), at: start };
  }

  // Names are unique ignoring case.
  #uniqueNames(entries) {
    const seen = new Set();
    for (const entry of entries) {
      need(!seen.has(entry.name.toLowerCase()), `zip: two members are named ${entry.name}`);
      seen.add(entry.name.toLowerCase());
      this.members.set(entry.name, entry);
    }
  }

  // No data before, between or after the members; local and central headers agree.
  #layout(entries, directory) {
    const sorted = [...entries].sort((a, b) => a.offset - b.offset);
    need(sorted.length === 0 ? directory === 0 : sorted[0].offset === 0, 'zip: data before the first member');
    sorted.forEach((entry, i) => {
      const next = i + 1 < sorted.length ? sorted[i + 1].offset : directory;
      this.#local(entry);
      const rest = next - (entry.data + entry.packed);
      if (entry.flags & SIZES_FOLLOW) this.#descriptor(entry, rest);
      else need(rest === 0, `zip: data after ${entry.name}`);
    });
  }

  #local(entry) {
    const differs = `zip: local and central header of ${entry.name} disagree`;
    const head = this.#bytes(entry.offset, 30, 'local header');
    need(head.readUInt32LE(0) === LOCAL, `zip: no local header of ${entry.name}`);
    const nameLength = head.readUInt16LE(26), extraLength = head.readUInt16LE(28);
    const tail = this.#bytes(entry.offset + 30, nameLength + extraLength, 'local header');
    need(tail.toString('latin1', 0, nameLength) === entry.name, differs);
    need(head.readUInt16LE(4) === entry.version && head.readUInt16LE(6) === entry.flags && head.readUInt16LE(8) === entry.method && head.readUInt32LE(10) === entry.modified, differs);
    const sizes = { size: head.readUInt32LE(22), packed: head.readUInt32LE(18) };
    extras(tail.subarray(nameLength), sizes, entry.name, true);
    const later = (entry.flags & SIZES_FOLLOW) !== 0;
    for (const [local, central] of [[head.readUInt32LE(14), entry.crc], [sizes.packed, entry.packed], [sizes.size, entry.size]]) {
      need(local === central || (later && local === 0), differs);
    }
    entry.data = entry.offset + 30 + nameLength + extraLength;
  }

  // The descriptor after the data: with or without signature, 4 or 8 byte sizes.
  #descriptor(entry, length) {
    need([12, 16, 20, 24].includes(length), `zip: data after ${entry.name}`);
    let bytes = this.#bytes(entry.data + entry.packed, length, 'data descriptor');
    if (length % 8 === 0) {
      need(bytes.readUInt32LE(0) === DESCRIPTOR, `zip: data descriptor of ${entry.name}`);
      bytes = bytes.subarray(4);
    }
    const long = bytes.length === 20;
    const packed = long ? number64(bytes, 4) : bytes.readUInt32LE(4);
    const size = long ? number64(bytes, 12) : bytes.readUInt32LE(8);
    need(bytes.readUInt32LE(0) === entry.crc && packed === entry.packed && size === entry.size, `zip: data descriptor and central header of ${entry.name} disagree`);
  }
}

function centralEntries(bytes, count) {
  const entries = [];
  let at = 0;
  while (at < bytes.length) {
    need(at + 46 <= bytes.length && bytes.readUInt32LE(at) === CENTRAL, 'zip: central directory');
    const nameLength = bytes.readUInt16LE(at + 28), extraLength = bytes.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength;
    need(next <= bytes.length, 'zip: central directory');
    const entry = centralEntry(bytes.subarray(at, next), nameLength);
    entries.push(entry);
    at = next;
  }
  need(entries.length === count, 'zip: counts of members disagree');
  return entries;
}

function centralEntry(bytes, nameLength) {
  const name = memberName(bytes.toString('latin1', 46, 46 + nameLength));
  const entry = {
    name, version: bytes.readUInt16LE(6), flags: bytes.readUInt16LE(8), method: bytes.readUInt16LE(10), modified: bytes.readUInt32LE(12), crc: bytes.readUInt32LE(16),
    packed: bytes.readUInt32LE(20), size: bytes.readUInt32LE(24), offset: bytes.readUInt32LE(42),
  };
  need(bytes.readUInt16LE(32) === 0, `zip: ${name} has a comment`);
  need((entry.flags & ~FLAGS) === 0, `zip: ${name} is encrypted or has unknown flags`);
  need(entry.method === STORED || entry.method === DEFLATED, `zip: ${name} is neither stored nor deflated`);
  regular(name, bytes.readUInt32LE(38));
  extras(bytes.subarray(46 + nameLength), entry, name, false);
  need(bytes.readUInt16LE(34) === 0, `zip: ${name} is on another disk`);
  need(entry.method !== STORED || entry.packed === entry.size, `zip: ${name} is stored with two sizes`);
  return entry;
}

// No links, no directories: the attributes may name a plain file only, whatever
// system claims to have written them.
function regular(name, attributes) {
  const type = (attributes >>> 28) & 0xf;
  need((attributes & 0x10) === 0 && (type === 0 || type === 8), `zip: ${name} is not a plain file`);
}

// Names [A-Za-z0-9._/-], relative, no empty, "." or ".." segment.
export function memberName(name) {
  need(/^[A-Za-z0-9._/-]+$/.test(name), `zip: name ${JSON.stringify(name)} has other characters than A-Za-z0-9._/-`);
  for (const segment of name.split('/')) need(segment !== '' && segment !== '.' && segment !== '..', `zip: path ${JSON.stringify(name)} has an empty, "." or ".." segment`);
  return name;
}

// extras reads the extra fields; Zip64's replaces the sizes that are 2^32-1.
function extras(bytes, sizes, name, local) {
  let zip64 = null;
  for (let at = 0; at < bytes.length;) {
    need(at + 4 <= bytes.length && at + 4 + bytes.readUInt16LE(at + 2) <= bytes.length, `zip: extra field of ${name}`);
    const id = bytes.readUInt16LE(at), end = at + 4 + bytes.readUInt16LE(at + 2);
    need(!FORBIDDEN_EXTRA.has(id) && !(id === 1 && zip64), `zip: extra field ${id} of ${name}`);
    if (id === 1) zip64 = bytes.subarray(at + 4, end);
    at = end;
  }
  let at = 0;
  for (const field of local ? ['size', 'packed'] : ['size', 'packed', 'offset']) {
    if (sizes[field] !== 0xffffffff) continue;
    need(zip64 && at + 8 <= zip64.length, `zip: Zip64 field of ${name}`);
    sizes[field] = number64(zip64, at);
    at += 8;
  }
}

function number64(bytes, at) {
  const number = bytes.readBigUInt64LE(at);
  need(number <= BigInt(Number.MAX_SAFE_INTEGER), 'zip: a number is too large');
  return Number(number);
}

// inflate stops at size, and wants the stream to end where the packed data ends.
function inflate(raw, size) {
  try {
    const { buffer, engine } = inflateRawSync(raw, { info: true, maxOutputLength: Math.max(size, 1) });
    need(engine.bytesWritten === raw.length, 'zip: data after the end of the deflate stream');
    return buffer;
  } catch (err) {
    if (err instanceof Malformed) throw err;
    throw new Malformed(err.code === 'ERR_BUFFER_TOO_LARGE' ? `zip: inflates to more than the ${size} bytes it should have` : `zip: ${err.message}`);
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
