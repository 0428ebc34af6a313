// JSON as the spec wants it: strict, without duplicate members, and canonical
// (RFC 8785). JSON.parse would keep the last of two members silently.
import { Malformed, need } from './refusal.mjs';

// Deeper nesting is refused: this verifier recurses.
const MAX_DEPTH = 1000;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// What a string may hold unescaped (RFC 8259, section 7).
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// utf8 decodes bytes that must be UTF-8; a byte order mark is not swallowed.
export function utf8(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Malformed('not UTF-8');
  }
}

// parse reads one JSON text. body adds the limits of spec/ledger.md section 2;
// what says whose text it is. Members are looked up by Object.hasOwn or by names
// that no prototype has.
export function parse(bytes, { body = false, what = '' } = {}) {
  const text = utf8(bytes);
  return asWritten(text, body) ?? strict(text, body, what);
}

// parseBody reads the text of a body: one JSON text in these limits, canonical
// (RFC 8785). Verifiers re-serialise and compare.
export function parseBody(bytes, what) {
  const text = utf8(bytes), value = asWritten(text, true);
  if (value !== null && sorted(value)) return value; // for RFC 8785 is what JSON.stringify writes, by name
  const read = strict(text, true, what);
  need(canonical(read) === text, `${what}the body is not canonical`);
  return read;
}

// asWritten reads a text that JSON.stringify writes just so: then no member was
// there twice. That is how nearly all texts of a pack are, and many times faster.
// null says nothing but that the strict reader has to look.
function asWritten(text, body) {
  let value;
  try {
    value = JSON.parse(text);
    if (JSON.stringify(value) !== text) return null;
  } catch {
    return null;
  }
  if (body && /\\ud[89a-f]/.test(text)) return null; // perhaps half of a surrogate pair
  return plain(value, body, 0) ? value : null;
}

// plain tells that the limits hold without doubt.
function plain(value, body, depth) {
  if (depth > MAX_DEPTH) return false;
  if (typeof value === 'number') return !body || Number.isSafeInteger(value);
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every((item) => plain(item, body, depth + 1));
  for (const name in value) {
    if ((body && !/^[\x20-\x7e]*$/.test(name)) || !plain(value[name], body, depth + 1)) return false;
  }
  return true;
}

// sorted tells that JSON.stringify writes all members by name.
function sorted(value) {
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every(sorted);
  let last = null;
  for (const name in value) {
    if ((last !== null && name < last) || !sorted(value[name])) return false;
    last = name;
  }
  return true;
}

// strict reads any text, and says what is wrong with it. Its objects come without
// a prototype, so that a member named __proto__ is one like any other.
function strict(text, body, what) {
  const reader = new Reader(text, body, what);
  reader.space();
  const value = reader.value(0);
  reader.space();
  if (reader.at !== reader.text.length) reader.fail('something follows the value');
  return value;
}

class Reader {
  constructor(text, body, what) {
    this.text = text;
    this.body = body;
    this.what = what;
    this.at = 0;
  }

  fail(reason) {
    throw new Malformed(`${this.what}JSON: ${reason} at ${this.at}`);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  space() {
    this.match(SPACE);
  }

  // take moves over one expected character, if it is there.
  take(char) {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  value(depth) {
    if (depth > MAX_DEPTH) this.fail('nested too deeply');
    switch (this.text[this.at]) {
      case '{': return this.object(depth);
      case '[': return this.array(depth);
      case '"': return this.string();
      case 't': return this.word('true', true);
      case 'f': return this.word('false', false);
      case 'n': return this.word('null', null);
      default: return this.number();
    }
  }

  word(word, value) {
    if (!this.text.startsWith(word, this.at)) this.fail('unknown word');
    this.at += word.length;
    return value;
  }

  number() {
    const text = this.match(NUMBER);
    if (text === null) this.fail('a value is missing');
    const number = Number(text);
    // ledger.md section 2: integers of magnitude <= 2^53-1.
    if (this.body && !(/^-?[0-9]+$/.test(text) && Number.isSafeInteger(number))) this.fail(`number ${text} is not an integer of at most 2^53-1`);
    return number;
  }

  string() {
    this.at++;
    let value = '';
    for (;;) {
      value += this.match(PLAIN);
      if (this.take('"')) break;
      if (!this.take('\\')) this.fail('string not ended or with a bare control character');
      value += this.escape();
    }
    // ledger.md section 2: strings are Unicode scalars.
    if (this.body && /\p{Surrogate}/u.test(value)) this.fail('half of a surrogate pair');
    return value;
  }

  escape() {
    const char = this.text[this.at++];
    if (Object.hasOwn(ESCAPES, char ?? '')) return ESCAPES[char];
    const hex = this.text.slice(this.at, this.at + 4);
    if (char !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('unknown escape');
    this.at += 4;
    return String.fromCharCode(parseInt(hex, 16));
  }

  array(depth) {
    const items = [];
    this.at++;
    this.space();
    if (this.take(']')) return items;
    do {
      this.space();
      items.push(this.value(depth + 1));
      this.space();
    } while (this.take(','));
    if (!this.take(']')) this.fail('array not ended');
    return items;
  }

  object(depth) {
    const object = Object.create(null);
    this.at++;
    this.space();
    if (this.take('}')) return object;
    do {
      this.space();
      if (this.text[this.at] !== '"') this.fail('a member name is missing');
      const name = this.string();
      // ledger.md section 2: member names are printable ASCII; duplicates MUST be
      // rejected, in bodies and in every JSON file of a pack.
      if (this.body && !/^[\x20-\x7e]*$/.test(name)) this.fail('member name is not printable ASCII');
      if (name in object) this.fail(`duplicate member ${JSON.stringify(name)}`);
      this.space();
      if (!this.take(':')) this.fail('a colon is missing');
      this.space();
      object[name] = this.value(depth + 1);
      this.space();
    } while (this.take(','));
    if (!this.take('}')) this.fail('object not ended');
    return object;
  }
}

// canonical writes a value by RFC 8785, which defines strings and numbers as
// ECMAScript writes them and sorts names by UTF-16 code units, as sort() does.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

export function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

// record wants an object with these members; others are ignored, so that a later
// version may say more.
export function record(value, names, what) {
  need(isObject(value), `${what} is not an object`);
  for (const name of names) need(Object.hasOwn(value, name), `${what} has no ${name}`);
  return value;
}

export function list(value, what) {
  need(Array.isArray(value), `${what} is not an array`);
  return value;
}
