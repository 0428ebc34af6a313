// Drawing of a sample by docs/reference/sampling.md: the same rows as
// `strongroom evidence:sample` draws.
import { compare, encode, hex, sha256 } from '../verify/bytes.mjs';
import { state } from '../verify/documents.mjs';

export const MAX_COUNT = 500;

// Wrong is something that was asked for and that cannot be done.
export class Wrong extends Error {}

// nameOf is what a report is called, in words of its path.
export const nameOf = ({ path }) => path.replace(/^reports\//, '').replace(/\.csv$/, '');

// draw takes the first rows of the population in the order that the seed gives.
// result is what verify gives; ask is {report, seed, count, where}: report its
// name or path, where an array of {column, value}. It returns {path, head,
// population, items: [{order, identity, seq, document, cells}]}.
export function draw(result, { report: wanted, seed, count, where = [] }) {
  if (!/^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$/.test(seed)) {
    throw new Wrong('A seed has 1 to 200 printable ASCII characters and does not begin or end with a space: so it is the same wherever it is typed.');
  }
  if (!Number.isInteger(count) || count < 1 || count > MAX_COUNT) throw new Wrong(`A sample has 1 to ${MAX_COUNT} items.`);
  const report = result.reports.find((one) => one.path === wanted || nameOf(one) === wanted);
  if (!report) throw new Wrong('The pack has no such provable report.');
  const limits = where.map(({ column, value }) => [report.head.indexOf(column), value]);
  if (limits.some(([at]) => at < 0)) throw new Wrong('The report has no such column.');
  const ids = documents(result, report.definition);
  const items = report.rows.map((cells, at) => row(report.path, seed, cells, ids?.[at] ?? ''))
    .filter(({ cells }) => limits.every(([at, value]) => cells[at] === value));
  const population = items.length;
  items.sort((a, b) => (a.order < b.order ? -1 : 1));
  return { path: report.path, head: report.head, population, items: items.slice(0, count) };
}

function row(path, seed, cells, document) {
  const identity = document === '' ? cells[0] : `${cells[0]} ${document}`;
  return { order: hex(sha256(encode(`${seed}\0${path}\0${identity}`))), identity, seq: Number(cells[0]), document, cells };
}

// documents gives the ids of a state report's rows, in their order.
function documents({ entries, manifest }, { type, kind, at }) {
  if (type !== 'state') return null;
  const living = state(entries, ({ time }) => time <= at && time < manifest.period.to);
  const found = [...living.values()].filter((document) => document.kind === kind).map(({ id }) => [encode(id), id]);
  return found.sort(([a], [b]) => compare(a, b)).map(([, id]) => id);
}
