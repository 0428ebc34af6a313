// The page: what the reader gives, and what the verifier says of it.
//
// When a pack was not refused, the section #explore is shown and gets the event
// "verified", whose detail is the result as verify.mjs describes it; when another
// check begins it is emptied and hidden. Modules that look into a pack fill it.
import { latin1 } from '../verify/bytes.mjs';
import { COSIGNATURE, ED25519, verifierKey } from '../verify/note.mjs';
import { Malformed, Unable } from '../verify/refusal.mjs';
import { fromBlob } from '../verify/source.mjs';
import { verify } from '../verify/verify.mjs';
import { element } from './dom.mjs';

const MAX_KEY_FILE = 1 << 20;
const VERDICTS = {
  VERIFIED: { look: 'verified', says: 'The log whose key you gave signed this pack. Nothing in its scope and period was left out, added or changed.' },
  'CONSISTENT, ORIGIN NOT CHECKED': { look: 'consistent', says: 'The pack fits together, but without the log’s key nobody can tell who made it. Compare this fingerprint with the one that you were given outside the pack:' },
  REFUSED: { look: 'refused', says: '' },
  'NOT CHECKED': { look: 'refused', says: 'This program could not finish. That says nothing about the pack, good or bad:' },
};
// What a failure means, in plain words.
const MEANS = {
  form: 'The file is not the pack that was signed: it was altered, damaged on its way, or put together by somebody else.',
  signatures: 'It was not signed by the log whose key you gave, or it was changed since. The key may also be the wrong one.',
  headers: 'The list of entries is not the one under the signed checkpoint: an entry is missing, added, moved or changed.',
  bodies: 'What an entry says is not what was recorded, or an entry that has to be here is not.',
  blobs: 'Bulk evidence that an entry names is missing or altered, or something is here that no entry names.',
  reports: 'A table shows something else than the entries do.',
  'opening state': 'What the period begins with is not what the one before ended with.',
};
// What has to be said beside a verdict.
const RESERVATIONS = /^(NOT WITNESSED|opening state: as claimed)/;
const STATES = { waiting: '', running: 'checking…', passed: 'passed', refused: 'REFUSED' };

const byId = (id) => document.getElementById(id);

// Wrong is something that the reader gave and that cannot be used.
class Wrong extends Error {}

const lines = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

function readKey(text, type, what) {
  let key;
  try {
    key = verifierKey(text);
  } catch (err) {
    if (err instanceof Malformed) throw new Wrong(`${what} cannot be used: ${err.message}. It is one line: name+hash+key.`);
    throw err;
  }
  if (key.type !== type) throw new Wrong(`${what} cannot be used: ${key.name} is a key of another kind.`);
  return key;
}

// small reads a file that is no pack.
async function small(file, what) {
  if (file.size > MAX_KEY_FILE) throw new Wrong(`${what} is larger than it can be: is it the right file?`);
  return new Uint8Array(await file.arrayBuffer());
}

// trust reads check 0 from the form.
async function trust() {
  const keys = lines(byId('key').value), witnesses = lines(byId('witnesses').value).map((line) => readKey(line, COSIGNATURE, 'A witness’s key'));
  if (keys.length > 1) throw new Wrong('One log key is wanted, there are several lines.');
  const quorum = byId('quorum').value === '' ? witnesses.length : Number(byId('quorum').value);
  if (!Number.isInteger(quorum) || quorum < Math.min(1, witnesses.length)) throw new Wrong('How many witnesses must have cosigned is a whole number, from 1.');
  if (quorum > witnesses.length) throw new Wrong('More witnesses are wanted than keys of witnesses given.');
  const [since] = byId('since').files, [previous] = byId('previous').files;
  return {
    key: keys.length === 1 ? readKey(keys[0], ED25519, 'The log’s key') : undefined, witnesses, quorum,
    since: since && (await small(since, 'The older checkpoint')), previous: previous && fromBlob(previous),
  };
}

// rest lets the page draw. A timer would wait a second in a tab that is not seen.
const channel = new MessageChannel();
let resume = () => {};
channel.port1.onmessage = () => resume();

function rest() {
  return new Promise((resolve) => {
    resume = resolve;
    channel.port2.postMessage(null);
  });
}

// Sheet shows the checks of one verification as they are made.
class Sheet {
  constructor() {
    this.rows = new Map();
    this.begun = performance.now();
    byId('checks').replaceChildren();
    byId('verdict').hidden = true;
    byId('explore').replaceChildren();
    byId('explore').hidden = true;
  }

  show({ name, title, state, details }) {
    const row = this.rows.get(name) ?? this.#row(name);
    row.className = state;
    row.replaceChildren(
      element('span', { class: 'number' }, String([...this.rows.keys()].indexOf(name))), element('span', { class: 'title' }, title),
      element('span', { class: state === 'refused' ? 'bad' : 'ok' }, STATES[state]), element('ul', {}, ...details.map((line) => element('li', {}, line))),
    );
  }

  #row(name) {
    const row = element('li');
    row.dataset.check = name;
    this.rows.set(name, row);
    byId('checks').append(row);
    byId('checks').hidden = false;
    return row;
  }

  begins(check) {
    this.show(check.state === 'waiting' ? { ...check, state: 'running' } : check);
  }

  progress(name, done, total) {
    byId('progress').hidden = false;
    byId('progress').value = total > 0 ? done / total : 0;
    byId('status').textContent = `${name}: ${Math.floor((100 * done) / Math.max(total, 1))} %`;
  }

  // ends shows the verdict, and all checks, also those that were not come to.
  ends(result) {
    result.checks.forEach((check) => this.show(check));
    byId('status').textContent = `Done in ${((performance.now() - this.begun) / 1000).toFixed(1)} s.`;
    this.verdict(result.verdict, ...says(result));
  }

  verdict(verdict, ...lines) {
    const box = byId('verdict'), { look, says: about } = VERDICTS[verdict];
    box.className = look;
    box.replaceChildren(element('strong', {}, verdict), ...[about, ...lines].filter(Boolean).map((line) => (line instanceof Node ? line : element('p', {}, line))));
    box.hidden = false;
    byId('progress').hidden = true;
  }
}

// says is what a verdict is about.
function says({ verdict, refusal, manifest, fingerprint, checks }) {
  if (refusal) {
    const where = refusal.seq === null ? '' : `, entry ${refusal.seq}`;
    return [MEANS[refusal.check], element('p', {}, 'In ', element('code', {}, refusal.member), `${where}: ${refusal.reason.replace(/^seq \d+: /, '')}.`)];
  }
  const print = verdict === 'VERIFIED' ? [] : [element('p', {}, element('code', {}, fingerprint))];
  const simulated = manifest.simulated ? ['SIMULATED: the pack says that it is of no real period.'] : [];
  const scopes = manifest.scopes.length - 1;
  const kept = checks.flatMap(({ details }) => details).filter((line) => RESERVATIONS.test(line)).map((line) => `${line}.`);
  return [...print, ...simulated, `Period: from ${time(manifest.period.from)} up to, and not including, ${time(manifest.period.to)}. Scope: the installation and ${scopes} ${scopes === 1 ? 'space or team' : 'spaces and teams'}. Written by ${manifest.program}.`, ...kept];
}

const time = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;

async function run() {
  const [pack] = byId('pack').files.length > 0 ? byId('pack').files : [dropped];
  const given = await trust();
  const sheet = new Sheet();
  const watch = { check: (check) => sheet.begins(check), progress: (...how) => sheet.progress(...how), rest };
  try {
    const result = await verify(fromBlob(pack), given, watch);
    sheet.ends(result);
    if (result.verdict !== 'REFUSED') {
      byId('explore').hidden = false;
      byId('explore').dispatchEvent(new CustomEvent('verified', { detail: result }));
    }
  } catch (err) {
    const why = err instanceof Unable ? err.message : `${err.name}: ${err.message}. If it is the file: was it changed or moved since you chose it?`;
    byId('status').textContent = '';
    sheet.verdict('NOT CHECKED', why);
  }
}

// submitted runs one check at a time, and says what is wrong with what was given.
async function submitted(event) {
  event.preventDefault();
  byId('run').disabled = true;
  try {
    await run();
  } catch (err) {
    if (!(err instanceof Wrong)) throw err;
    byId('status').textContent = err.message;
  } finally {
    byId('run').disabled = false;
  }
}

let dropped = null;

function chosen(file) {
  byId('run').disabled = !file;
  byId('status').textContent = file ? `${file.name}, ${file.size.toLocaleString('en')} bytes` : 'Choose a pack first.';
}

function drop(event) {
  event.preventDefault();
  document.body.classList.remove('dropping');
  const [file] = event.dataTransfer.files;
  if (!file) return;
  byId('pack').value = '';
  dropped = file;
  chosen(file);
}

async function keyFile() {
  const [file] = byId('key-file').files;
  if (file) byId('key').value = file.size > MAX_KEY_FILE ? '' : latin1(new Uint8Array(await file.arrayBuffer())).trim();
}

byId('given').addEventListener('submit', submitted);
byId('pack').addEventListener('change', () => chosen(byId('pack').files[0] ?? dropped));
byId('key-file').addEventListener('change', keyFile);
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', drop);
chosen(byId('pack').files[0]); // a browser keeps what was chosen when a page is loaded again
