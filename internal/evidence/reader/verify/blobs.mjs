// Check 5 of spec/evidence-pack.md: blobs.
import { inPeriod } from './headers.mjs';
import { need, within } from './refusal.mjs';

const FOLDER = 'blobs/';

// checkBlobs wants every blob named by an in-scope body of the period present and
// matching, or listed in blobs_left_out. It returns how many are there, and how
// many left out.
export function checkBlobs(files, entries) {
  const leftOut = new Set(files.manifest.blobs_left_out.map((blob) => blob.sha256));
  const named = new Set(), absent = new Set();
  for (const { header, body } of entries) {
    for (const { sha256: digest, size } of body.blobs ?? []) {
      const path = FOLDER + digest.slice('sha256:'.length), file = files.listed.get(path);
      within('blobs', path, () => {
        need(file || leftOut.has(digest) || !inPeriod(header, files.manifest.period), `seq ${header.seq} names it; it is neither there nor in blobs_left_out`);
        need(!file || (file.sha256 === digest && file.bytes === size), `is not what seq ${header.seq} names`);
      });
      named.add(path);
      if (!file && leftOut.has(digest)) absent.add(digest);
    }
  }
  // blobs/<hex> is bulk evidence named in bodies: there is no other.
  for (const path of files.listed.keys()) {
    if (path.startsWith(FOLDER)) within('blobs', path, () => need(named.has(path), 'no body names it'));
  }
  return { present: named.size - absent.size, leftOut: absent.size };
}
