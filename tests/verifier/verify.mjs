#!/usr/bin/env node
// verify.mjs: a second verifier of evidence packs, written from the specification
// alone (docs/reference/ledger.md and evidence-pack.md) and sharing no code with
// the first. Node 20 or later, no dependencies, no network.
//
//   node verify.mjs PACK [--key FILE] [--witness FILE]… [--quorum N]
//                        [--since OLD_CHECKPOINT] [--previous PACK]
//
// It exits with 0 for VERIFIED, 1 for a pack that is refused, 2 for a call that is
// wrong, 3 for CONSISTENT, ORIGIN NOT CHECKED: without the log's key from outside.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { COSIGNATURE, ED25519, fingerprint, verifierKey } from './note.mjs';
import { verifyPack } from './pack.mjs';
import { Malformed, need, Refused } from './refusal.mjs';

const OPTIONS = {
  key: { type: 'string' }, witness: { type: 'string', multiple: true, default: [] }, quorum: { type: 'string' },
  since: { type: 'string' }, previous: { type: 'string' },
};

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
    since: options.since === undefined ? undefined : readFileSync(options.since), previous: options.previous,
  };
}

function report(pack) {
  const { manifest, checkpoint } = pack;
  const period = `${manifest.period.from} to ${manifest.period.to}`;
  console.log(`pack of ${manifest.installation}, ${period}, made by ${manifest.program}`);
  if (manifest.simulated) console.log('SIMULATED: this pack says that it is not of a real period');
  console.log(`scopes: ${manifest.scopes.map((scope) => scope ?? 'the installation').join(', ')}`);
  console.log(`checkpoint: ${checkpoint.origin}, ${checkpoint.size} entries, root ${checkpoint.root.toString('base64')}`);
  for (const { name, time } of pack.witnessed) console.log(`witnessed by ${name} at ${time}`);
  if (pack.witnessed.length === 0) console.log('NOT WITNESSED: others may have been shown a different history');
  if (pack.grown !== null) console.log(`the log only grew since it had ${pack.grown} entries`);
  console.log(`${pack.headers.length} headers, ${pack.entries.length} bodies`);
  for (const [rule, count] of pack.erased) console.log(`erased by ${rule}: ${count}`);
  console.log(`blobs left out: ${pack.leftOut}`);
  console.log(`reports proven: ${pack.reports.proven}`);
  for (const path of pack.reports.signedOnly) console.log(`signed, not proven: ${path}`);
  console.log(`opening state: ${pack.opening}`);
}

function main() {
  let paths, trust;
  try {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    need(positionals.length === 1, 'one pack is wanted');
    [paths, trust] = [positionals, readTrust(values)];
  } catch (err) {
    console.error(`verify: ${err.message}`);
    return 2;
  }
  try {
    const pack = verifyPack(paths[0], trust);
    report(pack);
    if (!trust.key) {
      console.log(`CONSISTENT, ORIGIN NOT CHECKED: compare the key ${pack.key.text}\nfingerprint ${fingerprint(pack.key)}`);
      return 3;
    }
    console.log('VERIFIED');
    return 0;
  } catch (err) {
    if (!(err instanceof Refused || err instanceof Malformed)) throw err;
    console.log(err.message);
    return 1;
  }
}

process.exitCode = main();
