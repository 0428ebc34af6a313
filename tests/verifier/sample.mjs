// sample.mjs draws samples as the page of a pack does, for the tests: a line of
// JSON in ({"pack","key","ask"}), a line out: the population, and of each item
// its order, identity, and its story's entries.
import { createInterface } from 'node:readline';
import { draw } from '../../internal/evidence/reader/explore/draw.mjs';
import { Stories } from '../../internal/evidence/reader/explore/story.mjs';
import { verifierKey } from '../../internal/evidence/reader/verify/note.mjs';
import { verify } from '../../internal/evidence/reader/verify/verify.mjs';
import { withFiles } from './file.mjs';

let known = {}; // the pack that was asked about last

async function read(pack, key) {
  if (known.pack !== pack) {
    const result = await withFiles([pack], ([source]) => verify(source, { key: verifierKey(key) }));
    known = { pack, result, stories: new Stories(result.entries) };
  }
  return known;
}

async function sample({ pack, key, ask }) {
  const { result, stories } = await read(pack, key);
  const { population, items } = draw(result, ask);
  return {
    population,
    items: items.map((item) => {
      const { entries, more } = stories.of(item);
      return { order: item.order, identity: item.identity, more, story: entries.map(({ entry, why }) => `${entry.seq} ${why}`) };
    }),
  };
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await sample(JSON.parse(line))));
