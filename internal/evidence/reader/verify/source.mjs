// Sources of bytes for a browser: see zip.mjs.

// fromBlob reads a File that the reader chose, or a Blob.
export function fromBlob(blob) {
  return { size: blob.size, read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()) };
}
