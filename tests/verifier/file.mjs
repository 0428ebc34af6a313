// Sources of bytes for Node.js: files.
import { open } from 'node:fs/promises';

async function source(handle) {
  const { size } = await handle.stat();
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    },
  };
}

// withFiles opens the files as sources, undefined where there is no path, and
// closes them when use is done.
export async function withFiles(paths, use) {
  const handles = [];
  try {
    const sources = [];
    for (const path of paths) {
      if (path) handles.push(await open(path));
      sources.push(path && (await source(handles.at(-1))));
    }
    return await use(sources);
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}
