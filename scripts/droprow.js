// droprow PACK OUT FILE: a copy of a pack whose FILE lacks its last row, with
// everything else as it was: what somebody would make who wants to hide one.
'use strict';
const fs = require('node:fs');
const zlib = require('node:zlib');

const [pack, out, target] = process.argv.slice(2);
const zip = fs.readFileSync(pack);
const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const crc32 = (b) => {
  let c = 0xffffffff;
  for (const x of b) c = crcTable[(c ^ x) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
};

const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
const count = zip.readUInt16LE(end + 10);
let at = zip.readUInt32LE(end + 16);
const locals = [];
const central = [];
let offset = 0;
for (let i = 0; i < count; i++) {
  const nameLength = zip.readUInt16LE(at + 28);
  const entry = Buffer.from(zip.subarray(at, at + 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)));
  const name = entry.toString('latin1', 46, 46 + nameLength);
  const local = zip.readUInt32LE(at + 42);
  const dataAt = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  let data = zip.subarray(dataAt, dataAt + entry.readUInt32LE(20));
  const method = entry.readUInt16LE(10);
  if (name === target) {
    const text = (method === 8 ? zlib.inflateRawSync(data) : data).toString('utf8').replace(/\n$/, '').split('\n');
    if (text.length < 2) throw new Error(`${target} has no row`);
    const plain = Buffer.from(text.slice(0, -1).join('\n') + '\n');
    data = method === 8 ? zlib.deflateRawSync(plain) : plain;
    entry.writeUInt32LE(crc32(plain), 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(plain.length, 24);
  }
  entry.writeUInt16LE(entry.readUInt16LE(8) & ~8, 8);
  entry.writeUInt32LE(offset, 42);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  entry.copy(head, 4, 6, 28);
  head.writeUInt16LE(nameLength, 26);
  head.writeUInt16LE(0, 28);
  const member = Buffer.concat([head, Buffer.from(name, 'latin1'), data]);
  locals.push(member);
  offset += member.length;
  central.push(entry.subarray(0, 46 + nameLength));
  entry.writeUInt16LE(0, 30);
  entry.writeUInt16LE(0, 32);
  at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
}
const directory = Buffer.concat(central);
const tail = Buffer.from(zip.subarray(end, end + 22));
tail.writeUInt32LE(directory.length, 12);
tail.writeUInt32LE(offset, 16);
fs.writeFileSync(out, Buffer.concat([...locals, directory, tail]));
