// Check 6 of spec/evidence-pack.md: every provable CSV is recomputed from the
// entries and compared: no row missing, none extra.
import { state } from './documents.mjs';
import { inPeriod } from './headers.mjs';
import { canonical, isObject, list, parse, record, utf8 } from './json.mjs';
import { isTime } from './manifest.mjs';
import { need, within } from './refusal.mjs';

const INDEX = 'reports/index.json';

// checkReports returns the paths below reports/ that are signed, not proven.
export function checkReports(files, entries) {
  const reports = within('reports', INDEX, () => list(parse(files.read(INDEX)), 'index').map((report) => readReport(report, files)));
  for (const report of reports) {
    within('reports', report.csv, () => {
      const rows = report.type === 'events' ? events(report, entries, files.manifest.period) : documents(report, entries, files.manifest.period);
      compare(parseCSV(utf8(files.read(report.csv))), expected(report, rows), report, rows);
    });
  }
  const proven = new Set([INDEX, ...reports.map((report) => report.csv)]);
  return { proven: reports.length, signedOnly: [...files.listed.keys()].filter((path) => /^(reports|oscal)\//.test(path) && !proven.has(path)) };
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
  for (const column of list(report.columns, 'columns')) {
    need(Array.isArray(column) && column.length === 2 && column.every((text) => typeof text === 'string'), `${report.csv}: a column is not a title and a pointer`);
    need(/^(\/([^~]|~0|~1)*)?$/s.test(column[1]), `${report.csv}: ${column[1]} is not a JSON pointer`);
  }
  // First column seq.
  need(report.columns[0]?.[0] === 'seq' && report.columns[0][1] === '/header/seq', `${report.csv}: the first column is not seq`);
  return report;
}

// One row per in-scope entry of those actions in the period, by seq. Whatever has
// a body here is in scope; of an erased body nothing is left to compute a row from.
function events({ actions }, entries, period) {
  return entries.filter(({ header, body }) => inPeriod(header, period) && actions.includes(body.action));
}

// One row per newest document of that kind at that time, by id.
function documents({ kind, at }, entries, { to }) {
  const found = [...state(entries, (header) => header.time <= at && header.time < to).values()].filter((document) => document.kind === kind);
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id))).map(({ doc, entry }) => ({ ...entry, doc }));
}

function expected({ columns }, rows) {
  const cells = rows.map(({ header, body, doc }) => {
    const { leaf, ...plain } = header;
    const row = { header: plain, body, doc };
    return columns.map(([, pointer]) => cell(lookup(row, pointer)));
  });
  return [columns.map(([title]) => cell(title)), ...cells];
}

// lookup follows a JSON pointer (RFC 6901); undefined where there is nothing.
function lookup(value, pointer) {
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
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

// compare names the first row that differs, with its seq.
function compare(found, wanted, { columns }, rows) {
  for (let i = 0; i < Math.max(found.length, wanted.length); i++) {
    const seq = rows[i - 1]?.header.seq;
    need(i < found.length, `seq ${seq}: row ${i} is missing`);
    need(i < wanted.length, `row ${i} (seq ${found[i][0]}) is one that no entry gives`);
    const what = i === 0 ? 'the titles' : `row ${i}`;
    need(found[i].length === columns.length, `${what}: ${found[i].length} cells instead of ${columns.length}`);
    const at = wanted[i].findIndex((text, column) => text !== found[i][column]);
    need(at < 0, `${seq === undefined ? '' : `seq ${seq}: `}${what}: ${columns[at]?.[0]} is ${JSON.stringify(found[i][at])}, the entries give ${JSON.stringify(wanted[i][at])}`);
  }
}

// parseCSV reads RFC 4180. Which cells are quoted is the writer's choice, so cells
// are compared, not bytes; lines end in CR LF or in LF, but all in the same.
export function parseCSV(text) {
  const end = /^(?:[^"\n]|"[^"]*")*\r\n/.test(text) ? '\r\n' : '\n';
  const field = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
  const rows = [];
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
    need(at === text.length || text.startsWith(end, at), `row ${rows.length}: not CSV`);
    at += at === text.length ? 0 : end.length;
    rows.push(row);
  }
  return rows;
}
