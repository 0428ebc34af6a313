// The checks of spec/evidence-pack.md, in their order: what the page inside a
// pack, the page of its own and the tests' program run.
//
//   const result = await verify(source, trust, watch)
//
// source is the pack, {size, read(offset, length) → promise of bytes}: see
// source.mjs. trust is what comes from outside of it, check 0, all optional:
//   key       the log's verifier key, as verifierKey reads it
//   witnesses keys of witnesses; quorum: how many of them are needed (all)
//   since     bytes of an older checkpoint; previous: source of the pack before
// watch is how to follow it, all optional:
//   check(check)                 a check began, passed or failed
//   progress(name, done, total)  how far it is
//   rest() → promise             called often in between: lets a page draw
//
// The result says what was found. verify throws only if it can give no verdict:
// Unable, or an error of reading.
//   verdict   'VERIFIED', 'CONSISTENT, ORIGIN NOT CHECKED' or 'REFUSED'
//   refusal   null, or {check, member, seq (or null), reason}
//   checks    [{name, title, state, details}], those of the specification, trust
//             first; state is 'waiting', 'passed' or 'refused', details sentences
//   key       the key that signed: the given one or the claimed; fingerprint
// and, unless it was refused, what a reader may look into. It has all been
// checked, and all text in it is a stranger's: show it as text, never as markup.
//   manifest  as in the pack: period {from, to}, scopes, simulated, …
//   entries   [{seq, header, body}] by seq, as parsed objects: every entry with
//             a body, those of the opening state (header.time < period.from) too.
//             Up to 200,000; a longer pack has entries === null, and entryCount.
//   reports   [{path, definition, head, rows}], the proven tables: definition as
//             reports/index.json has it, head titles, rows arrays of strings, the
//             first cell the seq. null as entries are.
//   signedOnly paths of the pages and files that are signed, not proven
import { checkBlobs } from './blobs.mjs';
import { readBodies } from './bodies.mjs';
import { equal, hex, sha256, toBase64 } from './bytes.mjs';
import { checkOpening } from './documents.mjs';
import { readHeaders } from './headers.mjs';
import { list, parse, record } from './json.mjs';
import { Files } from './manifest.mjs';
import { ED25519, checkpoint, cosignedAt, fingerprint, parseNote, signedBy, verifierKey } from './note.mjs';
import { Pace } from './pace.mjs';
import { need, Refused, within } from './refusal.mjs';
import { checkReports } from './reports.mjs';
import { checkConsistency, hashes } from './tree.mjs';
import { Zip } from './zip.mjs';

export const MAX_ENTRIES = 200_000;

const TITLES = {
  trust: 'Trust comes from outside the pack',
  form: 'Every file is there, unchanged, and listed',
  signatures: 'The log signed this pack and its checkpoint',
  headers: 'No entry of the period was left out, moved or changed',
  bodies: 'Every entry in scope is here as it was written',
  blobs: 'Bulk evidence is present, or its absence is stated',
  reports: 'Every row of every table follows from the entries',
  'opening state': 'What the period began with',
};

export async function verify(source, trust = {}, watch = {}) {
  const run = new Run(watch);
  try {
    return await run.all(source, trust);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    return run.refused(err);
  }
}

// Run is one verification.
class Run {
  constructor(watch) {
    this.watch = watch;
    this.pace = new Pace(watch);
    this.checks = Object.entries(TITLES).map(([name, title]) => ({ name, title, state: 'waiting', details: [] }));
    this.found = {};
  }

  // check makes one of the checks; part gives the sentences that say what it counted.
  async check(name, part) {
    const check = this.checks.find((one) => one.name === name);
    this.pace.begin(name);
    this.watch.check?.(check);
    check.details = await part();
    check.state = 'passed';
    this.watch.check?.(check);
    await this.watch.rest?.();
  }

  async all(source, trust) {
    const { found, pace } = this;
    let files, signed, ledger, bodies, proven, opening;
    await this.check('trust', () => given(trust));
    await this.check('form', async () => {
      const zip = await within('form', 'the zip', () => Zip.open(source));
      files = await Files.open(zip, pace);
      return [`${files.listed.size + 2} files, ${counted(files.bytes, 'byte')}: every digest is the manifest's`];
    });
    await this.check('signatures', async () => {
      signed = await checkSignatures(files, trust);
      found.key = signed.key.text;
      found.fingerprint = fingerprint(signed.key);
      return saysSigned(signed, trust);
    });
    await this.check('headers', async () => {
      ledger = await readHeaders(files, signed.checkpoint, pace);
      return saysHeaders(ledger, await checkSince(files, signed, trust.since));
    });
    await this.check('bodies', async () => {
      bodies = await readBodies(files, ledger, pace);
      return saysBodies(bodies);
    });
    await this.check('blobs', () => saysBlobs(checkBlobs(files, bodies.entries)));
    await this.check('reports', async () => {
      proven = await checkReports(files, bodies.entries, pace);
      return saysReports(proven);
    });
    await this.check('opening state', async () => {
      const pack = { manifest: files.manifest, ...signed, ...ledger, ...bodies };
      opening = checkOpening(pack, trust.previous && (await this.before(trust.previous, signed.key)));
      this.kept = { ...pack, opening };
      return [`opening state: ${opening}`];
    });
    return this.result(trust.key ? 'VERIFIED' : 'CONSISTENT, ORIGIN NOT CHECKED', null, {
      manifest: files.manifest, checkpoint: { ...signed.checkpoint, root: toBase64(signed.checkpoint.root) }, opening,
      ...bounded(bodies.entries, proven.reports), signedOnly: proven.signedOnly,
    });
  }

  // before checks the pack of the period before; its refusal refuses this one, and
  // says which of the two packs it is about.
  async before(source, key) {
    const run = new Run({ rest: this.watch.rest });
    try {
      await run.all(source, { key });
    } catch (err) {
      throw err instanceof Refused ? new Refused('opening state', 'the previous pack', `${err.member}: ${err.reason}`) : err;
    }
    return run.kept;
  }

  refused({ check: name, member, seq, reason, message }) {
    const check = this.checks.find((one) => one.state === 'waiting');
    check.state = 'refused';
    check.details = [message];
    this.watch.check?.(check);
    return this.result('REFUSED', { check: name, member, seq, reason, message });
  }

  result(verdict, refusal, more = {}) {
    return { verdict, refusal, checks: this.checks, ...this.found, ...more };
  }
}

// bounded is what a reader may look into, if that is not too much.
function bounded(entries, reports) {
  const few = entries.length <= MAX_ENTRIES;
  return { entryCount: entries.length, entries: few ? entries.map(({ header: { leaf, ...header }, body }) => ({ seq: header.seq, header, body })) : null, reports: few ? reports : null };
}

const counted = (n, noun, plural = `${noun}s`) => `${n.toLocaleString('en')} ${n === 1 ? noun : plural}`;

// Check 0.
function given({ key, witnesses = [], since, previous }) {
  const says = [key ? `the log's key was given: ${fingerprint(key)}` : 'no log key was given: the pack can only be compared with itself'];
  if (witnesses.length > 0) says.push(`${counted(witnesses.length, 'witness key')} given`);
  if (since) says.push('an older checkpoint was given');
  if (previous) says.push('the pack of the period before was given');
  return says;
}

function saysSigned({ checkpoint: { origin, size }, witnessed }) {
  const says = [`checkpoint of ${origin} over ${counted(size, 'entry', 'entries')}`, ...witnessed.map(({ name, time }) => `witnessed by ${name} at ${time}`)];
  return witnessed.length > 0 ? says : [...says, 'NOT WITNESSED: others may have been shown a different history'];
}

function saysHeaders({ headers }, grown) {
  const says = [`${counted(headers.length, 'header')}, proven to be all of their ranges`];
  return grown === null ? says : [...says, `the log only grew since it had ${counted(grown, 'entry', 'entries')}`];
}

// The count of erased bodies is printed, by rule.
function saysBodies({ entries, missing }) {
  const rules = new Map();
  for (const { erased } of missing) if (erased) rules.set(erased.rule, (rules.get(erased.rule) ?? 0) + 1);
  return [`${counted(entries.length, 'body', 'bodies')}, each as its header names it`, ...[...rules].map(([rule, count]) => `erased by ${rule}: ${count.toLocaleString('en')}`)];
}

const saysBlobs = ({ present, leftOut }) => [`${counted(present, 'file')} of bulk evidence, ${leftOut.toLocaleString('en')} left out and listed as such`];

function saysReports({ reports, signedOnly }) {
  const rows = reports.reduce((sum, report) => sum + report.rows.length, 0);
  return [`${counted(reports.length, 'table')} with ${counted(rows, 'row')} computed again: none missing, none extra`, `${counted(signedOnly.length, 'other file')} of reports: signed, not proven`];
}

// Check 2: checkpoint and manifest.sig by the given log key alone; cosignatures
// by the given witness keys.
async function checkSignatures(files, trust) {
  const { manifest } = files;
  const note = await within('signatures', 'checkpoint', async () => parseNote(await files.read('checkpoint')));
  const known = await within('signatures', 'keys.json', () => keys(files)); // information only, but well-formed
  const key = trust.key ?? within('signatures', 'keys.json', () => claimedKey(known, note));
  const read = await within('signatures', 'checkpoint', async () => {
    await signedBy(note, key);
    const found = checkpoint(note.text);
    need(found.installation === manifest.installation, `is of the installation ${found.installation}, the manifest of ${manifest.installation}`);
    return found;
  });
  await within('signatures', 'manifest.sig', async () => {
    const signature = parseNote(files.signature);
    await signedBy(signature, key);
    const text = `strongroom-evidence/1\n${manifest.installation}\nsha256:${hex(sha256(files.raw))}\n`;
    need(signature.text === text, 'signs another manifest');
  });
  return { key, checkpoint: read, witnessed: await within('signatures', 'checkpoint', () => checkWitnesses(note, trust, manifest.period)) };
}

async function keys(files) {
  return list(parse(await files.read('keys.json')), 'keys.json').map((item) => record(item, ['name', 'key'], 'a key'));
}

// Without a key from outside the pack can only be consistent with itself: with
// the log key that it claims.
function claimedKey(known, note) {
  const claimed = known.map((item) => verifierKey(item.key)).filter((key) => key.type === ED25519);
  const key = claimed.find((candidate) => note.signatures.some((s) => s.name === candidate.name && equal(s.id, candidate.id)));
  need(key, 'names no key that signed the checkpoint');
  return key;
}

// `witnessed by X at T`, T ≥ to; all given witnesses are needed unless a quorum is named.
async function checkWitnesses(note, { witnesses = [], quorum = witnesses.length }, { to }) {
  const found = [];
  for (const witness of witnesses) {
    const seconds = await cosignedAt(note, witness);
    if (seconds === null) continue;
    const time = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.000000000Z`;
    if (time >= to) found.push({ name: witness.name, time });
  }
  need(found.length >= quorum, `${found.length} of the ${witnesses.length} given witnesses cosigned it after the period's end, ${quorum} are needed`);
  return found;
}

// The last of check 3: with --since, the log only grew since an old checkpoint.
async function checkSince(files, { key, checkpoint: now }, since) {
  if (!since) return null;
  const old = await within('headers', 'the old checkpoint', async () => {
    const note = parseNote(since);
    await signedBy(note, key);
    return checkpoint(note.text);
  });
  await within('headers', 'ledger/consistency.json', async () => {
    const { from, proof } = record(parse(await files.read('ledger/consistency.json')), ['from', 'proof'], 'consistency.json');
    need(old.origin === now.origin, `the old checkpoint is of the log ${old.origin}, this one of ${now.origin}`);
    need(from === old.size, `proves growth from ${from}, the old checkpoint has ${old.size} entries`);
    checkConsistency(old.size, old.root, now.size, now.root, hashes(list(proof, 'proof')));
  });
  return old.size;
}
