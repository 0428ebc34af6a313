// Check 3 of spec/evidence-pack.md: headers.
import { encode, equal, latin1 } from './bytes.mjs';
import { list, parse, record } from './json.mjs';
import { isTime } from './manifest.mjs';
import { isUUID } from './note.mjs';
import { need, within } from './refusal.mjs';
import { checkRanges, hashes, leafHash, rangeRoot } from './tree.mjs';

const HEADERS = 'ledger/headers', RANGE = 'ledger/range.json';

// readHeaders proves the pack's headers against the checkpoint. It returns them
// with the seqs of the last entry before the period (boundary) and of the first
// after it (closing), and whether the period's range starts at 0.
export async function readHeaders(files, checkpoint, pace) {
  const { ranges, proof } = await within('headers', RANGE, async () => {
    const range = record(parse(await files.read(RANGE)), ['ranges', 'proof'], 'range.json');
    // N and R come from the checkpoint, never from another file (ledger.md section 5).
    checkRanges(list(range.ranges, 'ranges'), checkpoint.size);
    return { ranges: range.ranges, proof: hashes(list(range.proof, 'proof')) };
  });
  const headers = await within('headers', HEADERS, async () => headerLines(lines(await files.read(HEADERS)), ranges, pace));
  within('headers', RANGE, () => {
    const leaves = new Map(headers.map((header) => [header.seq, header.leaf]));
    need(equal(rangeRoot(ranges, checkpoint.size, leaves, proof), checkpoint.root), 'the range proof does not lead from the headers to the checkpoint\'s root');
  });
  const bounds = within('headers', HEADERS, () => checkBoundary(headers, ranges, files.manifest.period));
  const contiguous = ranges[0][0] === 0 ? ranges[0][1] : 0; // entries from 0 on without a gap
  return { headers, bySeq: new Map(headers.map((header) => [header.seq, header])), contiguous, ...bounds };
}

// lines splits bytes into their lines; the last one is ended, too.
export function lines(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    need(end >= 0, 'the last line is not ended');
    found.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return found;
}

// One header a line, by seq: every seq of the ranges, times never falling.
async function headerLines(found, ranges, pace) {
  const headers = [];
  let i = 0;
  for (const [a, b] of ranges) {
    for (let seq = a; seq < b; seq++, i++) {
      need(i < found.length, `seq ${seq}: its header is missing`);
      const header = readHeader(found[i], seq);
      need(i === 0 || headers[i - 1].time <= header.time, `seq ${seq}: its time is before that of the entry before it`);
      headers.push(header);
      if (pace.due()) await pace.rest(i, found.length);
    }
  }
  need(i === found.length, `a header more than the ranges have: ${latin1((found[i] ?? new Uint8Array(0)).subarray(0, 200))}`);
  return headers;
}

// readHeader rebuilds a header and compares bytes (ledger.md section 1).
function readHeader(line, seq) {
  const header = record(parse(line), ['body', 'scope', 'seq', 'time', 'v'], `seq ${seq}: header`);
  need(header.seq === seq, `seq ${seq}: its header is missing, there is the one of seq ${header.seq}`);
  need(header.v === 1, `seq ${seq}: version is not 1`);
  need(typeof header.body === 'string' && /^[0-9a-f]{64}$/.test(header.body), `seq ${seq}: body is not a digest in lower-case hex`);
  need(header.scope === null || isUUID(header.scope), `seq ${seq}: scope is neither null nor a UUID`);
  need(isTime(header.time), `seq ${seq}: not a time in UTC with nine decimals`);
  const scope = header.scope === null ? 'null' : `"${header.scope}"`;
  const rebuilt = encode(`{"body":"${header.body}","scope":${scope},"seq":${seq},"time":"${header.time}","v":1}`);
  need(equal(rebuilt, line), `seq ${seq}: the header is not written as the spec wants it`);
  header.leaf = leafHash(rebuilt);
  return header;
}

// inPeriod: an entry is in the period if from ≤ time < to.
export const inPeriod = (header, { from, to }) => from <= header.time && header.time < to;

// "Ranges": one range [a,b) holds the period: a is 0 or the last entry before
// from, and it reaches the first entry at or after to. Opening entries may lie
// right before that range, a body.erase right after it; they are then part of it.
// Which entries need a body is check 4.
function checkBoundary(headers, ranges, { from, to }) {
  const closing = headers.find((header) => header.time >= to)?.seq;
  need(closing !== undefined, `seq ${headers.at(-1).seq}: the ranges end before the period does: the first entry at or after ${to} must be there`);
  const [first] = ranges.find(([a, b]) => a <= closing && closing < b);
  const range = headers.filter(({ seq }) => first <= seq && seq <= closing);
  need(first === 0 || range[0].time < from, `seq ${first}: the last entry before ${from} must be there`);
  return { closing, boundary: range.findLast((header) => header.time < from)?.seq, fromZero: first === 0 };
}
