// batch.mjs checks many packs with one process, for the tests: a line of JSON in
// ({"pack","key","witnesses","quorum","since","previous"}: since in base64, all
// but pack may be missing), a line of JSON out.
import { createInterface } from 'node:readline';
import { verifierKey } from './note.mjs';
import { verifyPack } from './pack.mjs';
import { Refused } from './refusal.mjs';

function verdict({ pack, key, witnesses = [], quorum, since, previous }) {
  const trust = {
    key: key && verifierKey(key), witnesses: witnesses.map(verifierKey), quorum: quorum || witnesses.length,
    since: since && Buffer.from(since, 'base64'), previous,
  };
  try {
    const { opening } = verifyPack(pack, trust);
    return { verdict: key ? 'VERIFIED' : 'CONSISTENT', opening };
  } catch (err) {
    if (!(err instanceof Refused)) return { verdict: 'CRASHED', reason: err.stack };
    return { verdict: 'REFUSED', check: err.check, member: err.member, reason: err.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(verdict(JSON.parse(line))));
