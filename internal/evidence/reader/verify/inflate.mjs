// Inflating, piece by piece, with what browsers and Node.js both have. How much
// comes out is the caller's to bound: it stops asking.
import { Malformed, need } from './refusal.mjs';

// inflated gives the bytes that packed() deflates; packed() gives the same pieces
// each time it is called, and they have length bytes. The stream must end where
// they end: what follows the end of a stream two readers could see differently.
export async function* inflated(packed, length) {
  if (!(await endsAreChecked())) need(await fails(allBut(packed(), length - 1)), 'zip: data after the end of the deflate stream');
  yield* stream(packed());
}

async function* stream(pieces) {
  const { writable, readable } = new DecompressionStream('deflate-raw');
  const writer = writable.getWriter(), reader = readable.getReader();
  const fed = feed(writer, pieces);
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await decoded(reader.read());
      if (done) break;
      yield value;
    }
    await fed.then((err) => { if (err) throw err; });
    whole = true;
  } finally {
    // Whoever stopped early wants no more of it.
    if (!whole) await Promise.allSettled([reader.cancel(), writer.abort()]);
  }
}

// feed writes the pieces and gives the error that stopped it, if it is not the
// stream's own: that one the reader meets.
async function feed(writer, pieces) {
  try {
    for await (const piece of pieces) await writer.write(piece);
    await writer.close();
    return null;
  } catch (err) {
    await writer.abort(err).catch(() => {});
    return err instanceof TypeError ? null : err;
  }
}

async function decoded(read) {
  try {
    return await read;
  } catch (err) {
    if (err instanceof TypeError || err?.code?.startsWith?.('Z_') || err?.code?.startsWith?.('ERR_')) throw new Malformed(`zip: does not inflate: ${err.message}`);
    throw err;
  }
}

// allBut gives the first bytes of the pieces.
async function* allBut(pieces, length) {
  for await (const piece of pieces) {
    if (piece.length >= length) {
      if (length > 0) yield piece.subarray(0, length);
      return;
    }
    length -= piece.length;
    yield piece;
  }
}

async function fails(pieces) {
  try {
    for await (const _ of stream(pieces));
    return false;
  } catch {
    return true;
  }
}

// Browsers refuse what follows the end; Node.js 20 does not see it. There, a
// stream that is whole without its last byte has something after its end.
let checked = null;

function endsAreChecked() {
  const empty = [new Uint8Array([0x03, 0x00, 0x00])]; // nothing, deflated, and a byte more
  checked ??= fails(empty);
  return checked;
}
