// The Merkle tree of RFC 6962: range and consistency proofs.
import { equal, sha256 } from './bytes.mjs';
import { base64 } from './note.mjs';
import { need } from './refusal.mjs';

const LEAF = Uint8Array.of(0), NODE = Uint8Array.of(1);
// ledger.md section 1: SHA-256(0x00 ‖ header) and SHA-256(0x01 ‖ left ‖ right).
export const leafHash = (header) => sha256(LEAF, header);
const nodeHash = (left, right) => sha256(NODE, left, right);

// hashes decodes a proof: a list of 32-byte hashes in base64.
export function hashes(proof) {
  return proof.map((text) => {
    const hash = base64(text, 'a hash of the proof');
    need(hash.length === 32, 'a hash of the proof is not of 32 bytes');
    return hash;
  });
}

// checkRanges: sorted, disjoint, non-adjacent, within 0 … N (ledger.md section 5).
export function checkRanges(ranges, size) {
  need(ranges.length > 0, 'no ranges');
  let end = -1;
  for (const range of ranges) {
    need(Array.isArray(range) && range.length === 2 && range.every(Number.isSafeInteger), 'a range is not a pair of integers');
    need(range[0] > end && range[0] < range[1], `range [${range}] is empty, or not sorted, disjoint and non-adjacent`);
    end = range[1];
  }
  need(end <= size, `ranges reach to ${end}, the tree has ${size} entries`);
}

// rangeRoot is the recursion of ledger.md section 5. leaves gives the hash of
// each leaf of the ranges by seq.
export function rangeRoot(ranges, size, leaves, proof) {
  let used = 0;
  const next = () => {
    need(used < proof.length, 'the range proof is too short');
    return proof[used++];
  };
  const root = (lo, hi, above) => {
    const met = above.filter(([a, b]) => a < hi && lo < b);
    if (met.length === 0) return next();
    if (hi - lo === 1) return leaves.get(lo);
    const middle = lo + split(hi - lo);
    const left = root(lo, middle, met);
    return nodeHash(left, root(middle, hi, met));
  };
  const found = root(0, size, ranges);
  need(used === proof.length, 'the range proof is not consumed');
  return found;
}

// split is the largest power of two below n; beyond 2^32 there are no bit tricks.
function split(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

// checkConsistency: the tree of size and root grew from the one of oldSize and
// oldRoot (RFC 9162 section 2.1.4.2, which spells out RFC 6962's proof).
export function checkConsistency(oldSize, oldRoot, size, root, proof) {
  need(oldSize <= size, `the old checkpoint has ${oldSize} entries, the new one ${size}`);
  if (oldSize === 0 || oldSize === size) {
    need(proof.length === 0, 'the consistency proof is not consumed');
    need(oldSize === 0 || equal(oldRoot, root), 'the checkpoints have the same size and different roots');
    return;
  }
  let fn = BigInt(oldSize) - 1n, sn = BigInt(size) - 1n;
  const rest = [...proof];
  while (fn & 1n) [fn, sn] = [fn >> 1n, sn >> 1n];
  if (fn === 0n) rest.unshift(oldRoot);
  need(rest.length > 0, 'the consistency proof is too short');
  let fr = rest.shift(), sr = fr;
  for (const hash of rest) {
    need(sn !== 0n, 'the consistency proof is not consumed');
    if ((fn & 1n) || fn === sn) {
      [fr, sr] = [nodeHash(hash, fr), nodeHash(hash, sr)];
      while (!(fn & 1n) && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else {
      sr = nodeHash(sr, hash);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  need(sn === 0n, 'the consistency proof is too short');
  need(equal(fr, oldRoot) && equal(sr, root), 'the consistency proof does not lead from the old checkpoint to the new one');
}
