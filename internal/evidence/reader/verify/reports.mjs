// Check 6 of spec/evidence-pack.md: every provable CSV is recomputed from the
// entries and compared: no row missing, none extra.
import { compare, encode } from './bytes.mjs';
import { state } from './documents.mjs';
import { inPeriod } from './headers.mjs';
import { canonical, isObject, list, parse, record, utf8 } from './json.mjs';
import { isTime } from './manifest.mjs';
import { need, within } from './refusal.mjs';

const INDEX = 'reports/index.json';
const MAX_REPORTS = 1024;
const MAX_COLUMNS = 512;

// checkReports returns the proven reports as {path, definition, head, rows}, and
// the paths of what is signed, not proven.
export async function checkReports(files, entries, pace) {
  const definitions = await within('reports', INDEX, async () => readIndex(parse(await files.read(INDEX)), files));
  const source = new Source(entries, files.manifest.period), reports = [];
  for (const definition of definitions) {
    await within('reports', definition.csv, async () => {
      const [head, ...rows] = await proven(definition, parseCSV(utf8(await files.read(definition.csv))), source.rows(definition), pace);
      reports.push({ path: definition.csv, definition, head, rows });
    });
  }
  const paths = new Set([INDEX, ...reports.map((report) => report.path)]);
  return { reports, signedOnly: [...files.listed.keys()].filter((path) => /^(reports|items|oscal)\//.test(path) && !paths.has(path)) };
}

function readIndex(index, files) {
  const seen = new Set();
  need(list(index, 'index').length <= MAX_REPORTS, 'more reports than a pack may have');
  return index.map((item) => {
    const report = readReport(item, files);
    need(!seen.has(report.csv), `names ${report.csv} twice`);
    seen.add(report.csv);
    return report;
  });
}

// readReport reads one element of the index, of type events or state.
function readReport(report, files) {
  need(isObject(report), 'a report is not an object');
  if (report.type === 'events') {
    record(report, ['csv', 'type', 'actions', 'columns'], 'a report');
    need(list(report.actions, 'actions').every((action) => typeof action === 'string'), 'an action is not a string');
  } else {
    record(report, ['csv', 'type', 'kind', 'at', 'columns'], 'a report');
    need(report.type === 'state' && typeof report.kind === 'string', 'a report is neither of events nor of state');
    const { from, to } = files.manifest.period;
    // The pack holds no entries outside the period from which another time's state could be computed.
    need(isTime(report.at) && from <= report.at && report.at <= to, `${report.csv}: its time is not within the period`);
  }
  need(typeof report.csv === 'string' && files.listed.has(report.csv), `the report ${report.csv} is not in the pack`);
  need(list(report.columns, 'columns').length <= MAX_COLUMNS, `${report.csv}: more columns than a report may have`);
  for (const column of report.columns) {
    need(Array.isArray(column) && column.length === 2 && column.every((text) => typeof text === 'string'), `${report.csv}: a column is not a title and a pointer`);
    need(/^(\/([^~]|~0|~1)*)?$/s.test(column[1]), `${report.csv}: ${column[1]} is not a JSON pointer`);
  }
  // First column seq.
  need(report.columns[0]?.[0] === 'seq' && report.columns[0][1] === '/header/seq', `${report.csv}: the first column is not seq`);
  return report;
}

// Source gives what the rows of a report are made of, {header, body, doc}.
class Source {
  constructor(entries, period) {
    this.entries = entries;
    this.period = period;
    this.byAction = grouped(entries, ({ body }) => body.action);
    this.states = new Map();
  }

  rows(report) {
    return report.type === 'events' ? this.#events(report) : this.#documents(report);
  }

  // One row per in-scope entry of those actions in the period, by seq. Whatever has
  // a body here is in scope; of an erased body nothing is left to compute a row from.
  #events({ actions }) {
    const found = [...new Set(actions)].flatMap((action) => this.byAction.get(action) ?? []);
    return found.filter(({ header }) => inPeriod(header, this.period)).sort((a, b) => a.header.seq - b.header.seq);
  }

  // One row per newest document of that kind at that time, by id.
  #documents({ kind, at }) {
    if (!this.states.has(at)) {
      const { to } = this.period;
      const documents = state(this.entries, (header) => header.time <= at && header.time < to);
      this.states.set(at, grouped(documents.values(), (document) => document.kind));
    }
    const found = (this.states.get(at).get(kind) ?? []).map((document) => [encode(document.id), document]);
    return found.sort(([a], [b]) => compare(a, b)).map(([, { doc, entry }]) => ({ ...entry, doc }));
  }
}

function grouped(items, by) {
  const groups = new Map();
  for (const item of items) {
    const key = by(item), group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

// cells are a row as the entries give it.
function cells(paths, { header: { leaf, ...header }, body, doc }) {
  const row = { header, body, doc };
  return paths.map((path) => cell(lookup(row, path)));
}

// steps reads a JSON pointer (RFC 6901).
const steps = (pointer) => pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

// lookup follows one; undefined where there is nothing.
function lookup(value, path) {
  for (const name of path) {
    if (Array.isArray(value)) value = /^(0|[1-9][0-9]*)$/.test(name) ? value[Number(name)] : undefined;
    else value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

// A string as it is, null or absent empty, everything else JCS; what a
// spreadsheet could take for a formula gets a leading apostrophe.
function cell(value) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : canonical(value);
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

// proven gives back the rows that were found, titles first, if they are those
// that the entries give; it names the first that is not, with its seq.
async function proven({ columns }, found, rows, pace) {
  const paths = columns.map(([, pointer]) => steps(pointer));
  for (let i = 0; i < Math.max(found.length, rows.length + 1); i++) {
    if (pace.due()) await pace.rest(i, rows.length);
    const seq = rows[i - 1]?.header.seq;
    need(i < found.length, i === 0 ? 'it is empty' : `seq ${seq}: row ${i} is missing`);
    need(i <= rows.length, `row ${i} (seq ${found[i][0]}) is one that no entry gives`);
    const what = i === 0 ? 'the titles' : `row ${i}`, wanted = i === 0 ? columns.map(([title]) => cell(title)) : cells(paths, rows[i - 1]);
    need(found[i].length === columns.length, `${what}: ${found[i].length} cells instead of ${columns.length}`);
    const at = wanted.findIndex((text, column) => text !== found[i][column]);
    need(at < 0, `${seq === undefined ? '' : `seq ${seq}: `}${what}: ${columns[at]?.[0]} is ${JSON.stringify(found[i][at])}, the entries give ${JSON.stringify(wanted[at])}`);
  }
  return found;
}

// parseCSV reads RFC 4180. Which cells are quoted is the writer's choice, so cells
// are compared, not bytes; lines end in CR LF or in LF, but all in the same.
export function parseCSV(text) {
  const field = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
  const rows = [];
  let end = null;
  for (let at = 0; at < text.length;) {
    const row = [];
    for (;;) {
      field.lastIndex = at;
      const [, quoted, plain] = field.exec(text);
      row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      at = field.lastIndex;
      if (text[at] !== ',') break;
      at++;
    }
    end ??= text.startsWith('\r\n', at) ? '\r\n' : '\n';
    need(at === text.length || text.startsWith(end, at), `row ${rows.length}: not CSV`);
    at += at === text.length ? 0 : end.length;
    rows.push(row);
  }
  return rows;
}
