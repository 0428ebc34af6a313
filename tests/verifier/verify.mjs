#!/usr/bin/env node
// verify.mjs: the second verifier of evidence packs on the command line. What it
// checks with was written from the specification alone (docs/reference/ledger.md
// and evidence-pack.md), shares no code with the first, and is what runs in the
// browser: internal/evidence/reader/verify. Node 20.12 or later, no network.
//
//   node verify.mjs PACK [--key FILE] [--witness FILE]… [--quorum N]
//                        [--since OLD_CHECKPOINT] [--previous PACK]
//
// It exits with 0 for VERIFIED, 1 for a pack that is refused, 2 for a call that is
// wrong, 3 for CONSISTENT, ORIGIN NOT CHECKED: without the log's key from outside.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { COSIGNATURE, ED25519, verifierKey } from '../../internal/evidence/reader/verify/note.mjs';
import { need } from '../../internal/evidence/reader/verify/refusal.mjs';
import { verify } from '../../internal/evidence/reader/verify/verify.mjs';
import { withFiles } from './file.mjs';

const OPTIONS = {
  key: { type: 'string' }, witness: { type: 'string', multiple: true, default: [] }, quorum: { type: 'string' },
  since: { type: 'string' }, previous: { type: 'string' },
};
const CODES = { VERIFIED: 0, REFUSED: 1, 'CONSISTENT, ORIGIN NOT CHECKED': 3 };

// readKey takes a key's file, or the key itself.
function readKey(given, type) {
  const key = verifierKey((existsSync(given) ? readFileSync(given, 'utf8') : given).trim());
  need(key.type === type, `${key.name} is a key of another kind`);
  return key;
}

// Check 0: trust comes from outside the pack.
function readTrust(options) {
  const witnesses = options.witness.map((given) => readKey(given, COSIGNATURE));
  const quorum = options.quorum === undefined ? witnesses.length : Number(options.quorum);
  need(Number.isInteger(quorum) && quorum >= 0 && quorum <= witnesses.length, 'quorum is not a number of given witnesses');
  return {
    key: options.key === undefined ? undefined : readKey(options.key, ED25519), witnesses, quorum,
    since: options.since === undefined ? undefined : readFileSync(options.since),
  };
}

function report({ manifest, checks, verdict, refusal, key, fingerprint }) {
  if (manifest) {
    console.log(`pack of ${manifest.installation}, ${manifest.period.from} to ${manifest.period.to}, made by ${manifest.program}`);
    if (manifest.simulated) console.log('SIMULATED: this pack says that it is not of a real period');
    console.log(`scopes: ${manifest.scopes.map((scope) => scope ?? 'the installation').join(', ')}`);
  }
  if (refusal) return console.log(refusal.message);
  for (const { name, details } of checks) for (const line of details) console.log(`${name}: ${line}`);
  if (verdict !== 'VERIFIED') console.log(`compare the key ${key}\nfingerprint ${fingerprint}`);
  console.log(verdict);
}

async function main() {
  let paths, trust, previous;
  try {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    need(positionals.length === 1, 'one pack is wanted');
    [paths, trust, previous] = [positionals, readTrust(values), values.previous];
  } catch (err) {
    console.error(`verify: ${err.message}`);
    return 2;
  }
  const result = await withFiles([paths[0], previous], ([pack, before]) => verify(pack, { ...trust, previous: before }));
  report(result);
  return CODES[result.verdict];
}

process.exitCode = await main();
