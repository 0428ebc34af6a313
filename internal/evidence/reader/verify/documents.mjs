// Documents: their revisions (check 4 of spec/evidence-pack.md), the state that
// they make, and the opening state (check 7).
import { need, within } from './refusal.mjs';

const documentKey = (kind, id) => JSON.stringify([kind, id]);

// rev grows by exactly 1 per (kind,id), also across deletion. There are three
// ways in which a pack may show less than every revision:
//   - before the period it holds what wrote documents last, and no history;
//   - app.join and its like go on with a document of a scope that it may not hold;
//   - erased bodies held some. Only a body that is not the newest may be erased
//     (ledger.md "Erasure"), so this does happen; body.erase says of each whether
//     it can have held documents: it went well and was no read. Each held one
//     revision; one before the period stands for all that came before it.
export function checkRevs(entries, missing, { period, contiguous }) {
  const silent = missing.filter(({ erased }) => !erased || (erased.outcome === 'ok' && !String(erased.action).endsWith('.read')));
  const older = silent.filter(({ header }) => header.time < period.from && header.seq >= contiguous);
  const explained = (from, to, skipped) => between(silent, from, to) >= skipped || between(older, from, to) > 0;
  const known = new Map();
  for (const { header, body } of entries.filter((entry) => entry.header.time < period.to)) {
    for (const { kind, id, rev, doc } of body.changes ?? []) {
      const key = documentKey(kind, id), last = known.get(key) ?? { rev: 0, seq: -1, living: false };
      const skipped = rev - last.rev - 1;
      const joins = body.action.endsWith('.join') && !last.living;
      const sparse = header.time < period.from && header.seq >= contiguous;
      need(skipped === 0 || (skipped > 0 && (joins || sparse || explained(last.seq, header.seq, skipped))), `seq ${header.seq}: ${kind} ${id} has rev ${rev} after rev ${last.rev}`);
      known.set(key, { rev, seq: header.seq, living: doc !== null });
    }
  }
}

// between counts those of the missing, which are by seq, whose seq lies between.
function between(missing, from, to) {
  const upTo = (seq) => {
    let low = 0;
    for (let high = missing.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (missing[middle].header.seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return upTo(to) - upTo(from + 1);
}

// state is nothing else than the newest doc per (kind,id) (ledger.md section 2):
// the living documents after the entries that the condition admits.
export function state(entries, admits) {
  const documents = new Map();
  for (const entry of entries.filter(({ header }) => admits(header))) {
    for (const { kind, id, doc } of entry.body.changes ?? []) {
      if (doc === null) documents.delete(documentKey(kind, id));
      else documents.set(documentKey(kind, id), { kind, id, doc, entry });
    }
  }
  return documents;
}

// checkOpening is check 7: the opening state is proven if the range starts at 0,
// so that nothing could be left out, or by the previous pack whose closing state
// equals it; otherwise it is as claimed.
export function checkOpening(pack, previous) {
  if (previous) return withPrevious(pack, previous);
  const hidden = pack.missing.some(({ header, erased }) => header.time < pack.manifest.period.from && !erased);
  return pack.fromZero && !hidden ? 'proven: the range starts at 0' : 'as claimed';
}

function withPrevious(pack, previous) {
  const { scopes, period } = pack.manifest, inScope = new Set(scopes);
  within('opening state', 'the previous pack', () => {
    need(previous.checkpoint.origin === pack.checkpoint.origin, 'is of another log');
    need(previous.manifest.period.to === period.from, 'does not end when this period begins');
    const had = new Set(previous.manifest.scopes);
    need(scopes.every((scope) => had.has(scope)), 'lacks a scope of this pack');
  });
  within('opening state', 'ledger/bodies', () => begins(pack, state(pack.entries, (header) => header.time < period.from),
    state(previous.entries, (header) => header.time < period.from), (header) => inScope.has(header.scope)));
  return `proven by the previous pack, whose own is ${previous.opening}`;
}

// begins wants the same documents, written by the same entries; one whose body
// was erased since then is known by its header, and an older version of it may show
// in an entry that is here because it wrote another one last.
function begins(pack, opening, closing, inScope) {
  const erased = new Set(pack.missing.filter(({ erased }) => erased).map(({ header }) => header.body));
  const same = (a, b) => a !== undefined && b !== undefined && a.entry.header.seq === b.entry.header.seq && a.entry.header.body === b.entry.header.body;
  const last = new Set(); // entries that wrote some document last
  for (const [name, document] of closing) {
    const { header } = document.entry, begun = same(opening.get(name), document);
    if (begun && inScope(header)) last.add(header.seq);
    need(!inScope(header) || begun || erased.has(header.body), `seq ${header.seq}: the previous pack ends with its ${name}, and this one does not begin with it`);
  }
  for (const [name, document] of opening) {
    const { seq } = document.entry.header, ended = closing.get(name)?.entry.header;
    const older = ended && ended.seq > seq && last.has(seq) && erased.has(ended.body);
    need(same(closing.get(name), document) || older, `seq ${seq}: this pack begins with its ${name}, and the previous one does not end with it`);
  }
}
