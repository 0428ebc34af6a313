// batch.mjs checks many packs with one process, for the tests: a line of JSON in
// ({"pack","key","witnesses","quorum","since","previous"}: since in base64, all
// but pack may be missing), a line of JSON out.
import { createInterface } from 'node:readline';
import { verifierKey } from '../../internal/evidence/reader/verify/note.mjs';
import { verify } from '../../internal/evidence/reader/verify/verify.mjs';
import { withFiles } from './file.mjs';

async function verdict({ pack, key, witnesses = [], quorum, since, previous }) {
  try {
    const trust = {
      key: key && verifierKey(key), witnesses: witnesses.map(verifierKey), quorum: quorum || witnesses.length,
      since: since && Buffer.from(since, 'base64'),
    };
    const result = await withFiles([pack, previous], ([source, before]) => verify(source, { ...trust, previous: before }));
    const { refusal } = result;
    return { verdict: result.verdict.split(',')[0], check: refusal?.check, member: refusal?.member, reason: refusal?.message, opening: result.opening };
  } catch (err) {
    return { verdict: 'CRASHED', reason: err.stack };
  }
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await verdict(JSON.parse(line))));
