// Reading of a zip as spec/evidence-pack.md "Zip" bounds it. Whatever two zip
// readers could see differently is refused: the archive must consist of the
// members, back to back, the central directory and its end, and nothing else.
//
// A source is {size, read(offset, length)}: read gives a promise of bytes. A
// browser has one over a File, Node.js one over a file (source.mjs).
import { hashing, hex, latin1, view } from './bytes.mjs';
import { inflated } from './inflate.mjs';
import { need, Unable } from './refusal.mjs';

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50, DESCRIPTOR = 0x08074b50;
const STORED = 0, DEFLATED = 8;
// Flags with a meaning here: deflate's speed, sizes after the data, UTF-8 names.
const FLAGS = 0x0002 | 0x0004 | 0x0008 | 0x0800;
const SIZES_FOLLOW = 0x0008;
// Extra fields that give a member a second name, a comment or encryption.
const FORBIDDEN_EXTRA = new Set([0x7075, 0x6375, 0x9901, 0x0017]);
// A manifest of 16 MiB cannot list more files than this has room for.
const MAX_DIRECTORY = 64 << 20;
// What is held in memory at once, which is also less than the longest string;
// more is possible only where it is not held.
const MAX_HELD = 500 << 20;
const CHUNK = 1 << 20;

export class Zip {
  // open reads the central directory and every local header.
  static async open(source) {
    const zip = new Zip(source);
    const end = await zip.#end();
    need(end.size <= MAX_DIRECTORY, 'zip: the central directory is larger than that of any pack');
    const entries = centralEntries(await zip.#bytes(end.offset, end.size, 'central directory'), end.count);
    zip.#uniqueNames(entries);
    await zip.#layout(entries, end.offset);
    return zip;
  }

  constructor(source) {
    this.source = source;
    this.size = source.size;
    this.members = new Map();
    this.near = { offset: 0, bytes: new Uint8Array(0) };
  }

  // read returns a member's bytes; more than limit is refused, not read.
  async read(name, limit) {
    const { size } = this.#member(name, limit);
    if (size > MAX_HELD) throw new Unable(`${name} has ${size} bytes: more than a browser can hold. Check this pack with: strongroom evidence:verify`);
    const bytes = new Uint8Array(size);
    let at = 0;
    for await (const chunk of this.chunks(name, limit)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  // digest returns a member's SHA-256 in hex, holding little of it.
  async digest(name, limit, passed = () => {}) {
    const hash = hashing();
    for await (const chunk of this.chunks(name, limit)) {
      hash.update(chunk);
      await passed(chunk.length);
    }
    return hex(hash.digest());
  }

  // chunks gives a member's bytes piece by piece: as many as the zip says, with
  // the CRC-32 that it says.
  async *chunks(name, limit) {
    const entry = this.#member(name, limit);
    const packed = () => this.#packed(entry);
    let size = 0, crc = 0xffffffff;
    for await (const chunk of entry.method === STORED ? packed() : inflated(packed, entry.packed)) {
      size += chunk.length;
      need(size <= entry.size, `zip: inflates to more than the ${entry.size} bytes it should have`);
      crc = crc32(crc, chunk);
      yield chunk;
    }
    need(size === entry.size, `has ${size} bytes, the zip says ${entry.size}`);
    need((crc ^ 0xffffffff) >>> 0 === entry.crc, 'CRC-32 differs from the zip\'s');
  }

  #member(name, limit) {
    const entry = this.members.get(name);
    need(entry, 'missing');
    need(entry.size <= limit, `has ${entry.size} bytes; at most ${limit} are right`);
    return entry;
  }

  async *#packed(entry) {
    for (let done = 0; done < entry.packed; done += CHUNK) {
      yield await this.#bytes(entry.data + done, Math.min(CHUNK, entry.packed - done), entry.name);
    }
  }

  // #bytes reads; what is small comes with what follows it, since that is mostly
  // asked for next.
  async #bytes(offset, length, what) {
    need(Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.size, `zip: ${what} lies outside the file`);
    const start = offset - this.near.offset;
    if (start >= 0 && start + length <= this.near.bytes.length) return this.near.bytes.subarray(start, start + length);
    const bytes = await this.source.read(offset, Math.max(length, Math.min(CHUNK >> 2, this.size - offset)));
    need(bytes.length >= length, `zip: ${what} ends early`);
    this.near = { offset, bytes };
    return bytes.subarray(0, length);
  }

  // No data after, no comment: the end record is the file's last 22 bytes.
  async #end() {
    need(this.size >= 22, 'zip: too short');
    const at = this.size - 22;
    const end = view(await this.#bytes(at, 22, 'end record'));
    need(u32(end, 0) === END && u16(end, 20) === 0, 'zip: does not end with an end record without comment');
    need(u32(end, 4) === 0, 'zip: several disks');
    need(u16(end, 8) === u16(end, 10), 'zip: counts of members disagree');
    let found = { count: u16(end, 10), size: u32(end, 12), offset: u32(end, 16), at };
    if (found.count === 0xffff || found.size === 0xffffffff || found.offset === 0xffffffff) found = await this.#end64(at);
    need(found.offset + found.size === found.at, 'zip: data between the central directory and its end');
    return found;
  }

  // Zip64 allowed.
  async #end64(at) {
    const locator = view(await this.#bytes(at - 20, 20, 'Zip64 locator'));
    need(u32(locator, 0) === LOCATOR64 && u32(locator, 4) === 0 && u32(locator, 16) === 1, 'zip: Zip64 locator');
    const start = u64(locator, 8);
    const end = view(await this.#bytes(start, 56, 'Zip64 end record'));
    need(u32(end, 0) === END64 && u64(end, 4) === 44 && start + 56 === at - 20, 'zip: Zip64 end record');
    need(u32(end, 16) === 0 && u32(end, 20) === 0 && u64(end, 24) === u64(end, 32), 'zip: several disks');
    return { count: u64(end, 32), size: u64(end, 40), offset: u64(end, 48), at: start };
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
  async #layout(entries, directory) {
    const sorted = [...entries].sort((a, b) => a.offset - b.offset);
    need(sorted.length === 0 ? directory === 0 : sorted[0].offset === 0, 'zip: data before the first member');
    for (const [i, entry] of sorted.entries()) {
      const next = i + 1 < sorted.length ? sorted[i + 1].offset : directory;
      await this.#local(entry);
      const rest = next - (entry.data + entry.packed);
      if (entry.flags & SIZES_FOLLOW) await this.#descriptor(entry, rest);
      else need(rest === 0, `zip: data after ${entry.name}`);
    }
  }

  async #local(entry) {
    const differs = `zip: local and central header of ${entry.name} disagree`;
    const head = view(await this.#bytes(entry.offset, 30, 'local header'));
    need(u32(head, 0) === LOCAL, `zip: no local header of ${entry.name}`);
    const nameLength = u16(head, 26), extraLength = u16(head, 28);
    const tail = await this.#bytes(entry.offset + 30, nameLength + extraLength, 'local header');
    need(latin1(tail.subarray(0, nameLength)) === entry.name, differs);
    need(u16(head, 4) === entry.version && u16(head, 6) === entry.flags && u16(head, 8) === entry.method && u32(head, 10) === entry.modified, differs);
    const sizes = { size: u32(head, 22), packed: u32(head, 18) };
    extras(tail.subarray(nameLength), sizes, entry.name, true);
    const later = (entry.flags & SIZES_FOLLOW) !== 0;
    for (const [local, central] of [[u32(head, 14), entry.crc], [sizes.packed, entry.packed], [sizes.size, entry.size]]) {
      need(local === central || (later && local === 0), differs);
    }
    entry.data = entry.offset + 30 + nameLength + extraLength;
  }

  // The descriptor after the data: with or without signature, 4 or 8 byte sizes.
  async #descriptor(entry, length) {
    need([12, 16, 20, 24].includes(length), `zip: data after ${entry.name}`);
    let bytes = await this.#bytes(entry.data + entry.packed, length, 'data descriptor');
    if (length % 8 === 0) {
      need(u32(view(bytes), 0) === DESCRIPTOR, `zip: data descriptor of ${entry.name}`);
      bytes = bytes.subarray(4);
    }
    const found = view(bytes), long = bytes.length === 20;
    const packed = long ? u64(found, 4) : u32(found, 4);
    const size = long ? u64(found, 12) : u32(found, 8);
    need(u32(found, 0) === entry.crc && packed === entry.packed && size === entry.size, `zip: data descriptor and central header of ${entry.name} disagree`);
  }
}

function centralEntries(bytes, count) {
  const entries = [], directory = view(bytes);
  let at = 0;
  while (at < bytes.length) {
    need(at + 46 <= bytes.length && u32(directory, at) === CENTRAL, 'zip: central directory');
    const nameLength = u16(directory, at + 28), extraLength = u16(directory, at + 30);
    const next = at + 46 + nameLength + extraLength;
    need(next <= bytes.length, 'zip: central directory');
    entries.push(centralEntry(bytes.subarray(at, next), nameLength));
    at = next;
  }
  need(entries.length === count, 'zip: counts of members disagree');
  return entries;
}

function centralEntry(bytes, nameLength) {
  const head = view(bytes), name = memberName(latin1(bytes.subarray(46, 46 + nameLength)));
  const entry = {
    name, version: u16(head, 6), flags: u16(head, 8), method: u16(head, 10), modified: u32(head, 12), crc: u32(head, 16),
    packed: u32(head, 20), size: u32(head, 24), offset: u32(head, 42),
  };
  need(u16(head, 32) === 0, `zip: ${name} has a comment`);
  need((entry.flags & ~FLAGS) === 0, `zip: ${name} is encrypted or has unknown flags`);
  need(entry.method === STORED || entry.method === DEFLATED, `zip: ${name} is neither stored nor deflated`);
  regular(name, u32(head, 38));
  extras(bytes.subarray(46 + nameLength), entry, name, false);
  need(u16(head, 34) === 0, `zip: ${name} is on another disk`);
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
  const fields = view(bytes);
  let zip64 = null;
  for (let at = 0; at < bytes.length;) {
    need(at + 4 <= bytes.length && at + 4 + u16(fields, at + 2) <= bytes.length, `zip: extra field of ${name}`);
    const id = u16(fields, at), end = at + 4 + u16(fields, at + 2);
    need(!FORBIDDEN_EXTRA.has(id) && !(id === 1 && zip64), `zip: extra field ${id} of ${name}`);
    if (id === 1) zip64 = view(bytes.subarray(at + 4, end));
    at = end;
  }
  let at = 0;
  for (const field of local ? ['size', 'packed'] : ['size', 'packed', 'offset']) {
    if (sizes[field] !== 0xffffffff) continue;
    need(zip64 && at + 8 <= zip64.byteLength, `zip: Zip64 field of ${name}`);
    sizes[field] = u64(zip64, at);
    at += 8;
  }
}

const u16 = (from, at) => from.getUint16(at, true);
const u32 = (from, at) => from.getUint32(at, true);

function u64(from, at) {
  const number = from.getBigUint64(at, true);
  need(number <= BigInt(Number.MAX_SAFE_INTEGER), 'zip: a number is too large');
  return Number(number);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(crc, bytes) {
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return crc;
}
