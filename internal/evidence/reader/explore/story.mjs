// The story of an item by docs/reference/sampling.md: which entries belong to it.

// What much else belongs to. A story does not follow these, since all that ever
// happened would be part of it: it tells how they stood.
const LASTING = new Set(['installation', 'account', 'team', 'policy', 'space', 'app', 'config', 'formation', 'buildpacks', 'image', 'beat']);
const STEPS = 3;
const MAX_STORY = 200;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

// ids lists the strings in a value that are UUIDs.
export function ids(value, found = []) {
  if (typeof value === 'string') {
    if (value.length === 36 && UUID.test(value)) found.push(value);
  } else if (value !== null && typeof value === 'object') {
    for (const inner of Object.values(value)) ids(inner, found);
  }
  return found;
}

// Stories finds what belongs to an item. It is made once for the entries that
// verify gives.
export class Stories {
  constructor(entries) {
    this.bySeq = new Map();
    this.byTarget = new Map(); // id → entries aimed at it
    this.byCause = new Map(); // seq → entries
    this.byDocument = new Map(); // id → [{entry, change, names}]
    this.byName = new Map(); // id → entries that changed what is not lasting and names it
    for (const entry of entries) this.#add(entry);
  }

  #add(entry) {
    const { seq, body } = entry;
    this.bySeq.set(seq, entry);
    put(this.byTarget, body.target.id ?? '', entry);
    if (Number.isSafeInteger(body.cause)) put(this.byCause, body.cause, entry);
    for (const change of body.changes ?? []) {
      const names = LASTING.has(change.kind) ? [] : ids(change.doc);
      put(this.byDocument, change.id, { entry, change, names });
      for (const id of new Set(names)) put(this.byName, id, entry);
    }
  }

  // of gives {entries: [{entry, why}], more}, by seq. item has seq and document,
  // which is empty unless the item is the row of a state report.
  of(item) {
    const drawn = this.bySeq.get(item.seq), own = this.#own(drawn, item);
    const names = this.#names(drawn, own), why = new Map([[item.seq, 'drawn']]);
    const belongs = ({ seq }, reason) => { if (!why.has(seq)) why.set(seq, reason); };
    const follows = (kind, id) => !LASTING.has(kind) || id === item.document;
    for (const id of names.keys()) {
      for (const entry of this.byTarget.get(id) ?? []) if (follows(entry.body.target.kind, id)) belongs(entry, 'same');
      for (const { entry, change } of this.byDocument.get(id) ?? []) if (follows(change.kind, id)) belongs(entry, 'same');
    }
    for (const id of own) for (const entry of this.byName.get(id) ?? []) belongs(entry, 'naming');
    for (const entry of this.#causes(drawn)) belongs(entry, 'cause');
    for (const entry of this.#standing(drawn)) belongs(entry, 'standing');
    return this.#nearest(why, item.seq);
  }

  // own are the ids of the item's documents.
  #own({ body }, { document }) {
    if (document !== '') return new Set([document]);
    const { kind, id } = body.target;
    if (id && !LASTING.has(kind)) return new Set([id]);
    return new Set((body.changes ?? []).filter((change) => !LASTING.has(change.kind)).map((change) => change.id));
  }

  // names are the ids of the story's documents, and of what they name last.
  #names({ body }, own) {
    const names = new Map([...own].map((id) => [id, 0])), session = body.actor.session;
    if (session && !names.has(session)) names.set(session, 1);
    for (let step = 1; step <= STEPS; step++) {
      for (const [id] of [...names].filter(([, at]) => at === step - 1)) {
        for (const found of this.byDocument.get(id) ?? []) for (const name of found.names) if (!names.has(name)) names.set(name, step);
      }
    }
    return names;
  }

  #causes({ seq, body }) {
    const found = [...(this.byCause.get(seq) ?? [])];
    for (let n = 0, cause = this.bySeq.get(body.cause); cause && n <= STEPS; n++, cause = this.bySeq.get(cause.body.cause)) found.push(cause);
    return found;
  }

  // standing are the entries that left what lasts as the drawn one names it.
  #standing({ seq, header, body }) {
    const last = new Map();
    for (const id of new Set([...ids(body), header.scope])) {
      for (const { entry, change } of this.byDocument.get(id) ?? []) if (entry.seq <= seq && LASTING.has(change.kind)) last.set(`${change.kind} ${id}`, entry);
    }
    return last.values();
  }

  #nearest(why, seq) {
    const far = (a) => Math.abs(a - seq);
    const all = [...why.keys()].sort((a, b) => far(a) - far(b) || a - b);
    const kept = all.slice(0, MAX_STORY).sort((a, b) => a - b);
    return { entries: kept.map((at) => ({ entry: this.bySeq.get(at), why: why.get(at) })), more: all.length - kept.length };
  }

  // before is a document as it was before a change: undefined if the pack does
  // not hold that, null if there was none.
  before({ kind, id, rev }) {
    if (rev === 1) return null;
    return this.byDocument.get(id)?.find(({ change }) => change.kind === kind && change.rev === rev - 1)?.change.doc;
  }
}

function put(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
