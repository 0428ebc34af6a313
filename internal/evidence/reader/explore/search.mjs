// Searching entries: what is looked at, and what matches.
import { actorOf, targetOf } from './words.mjs';

// Search holds entries with the text that is searched in each.
export class Search {
  constructor(entries) {
    this.all = entries.map((entry) => ({ entry, text: textOf(entry) }));
  }

  // find gives the entries that match, by seq. wanted is {text, action, actor,
  // outcome, scope, from, to}: all may be empty; text is words that must all be
  // there, in any order; from and to are beginnings of times as the ledger writes
  // them, both included.
  find({ text = '', action = '', actor = '', outcome = '', scope = '', from = '', to = '' }) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return this.all.filter(({ entry: { header, body }, text: has }) =>
      (action === '' || body.action === action) && (actor === '' || actorOf(body) === actor) && (outcome === '' || body.outcome === outcome)
      && (scope === '' || scopeOf(header) === scope) && header.time >= from && header.time.slice(0, to.length) <= to
      && words.every((word) => has.includes(word))).map(({ entry }) => entry);
  }

  // values lists what there is to choose from.
  values(of) {
    return [...new Set(this.all.map(({ entry }) => of(entry)))].sort();
  }
}

export const scopeOf = (header) => header.scope ?? 'installation';

// textOf is what is searched in an entry: what it was, whose, of what, and why.
function textOf({ seq, body }) {
  const { action, outcome, actor, target, app = '', reason = '', error = '' } = body;
  const details = (body.details ?? []).map(({ name, value }) => `${name} ${value}`), changes = (body.changes ?? []).map(({ kind, id }) => `${kind} ${id}`);
  return [seq, action, outcome, actorOf(body), actor.id, actor.ip, targetOf(body), target.id, app, reason, error, ...details, ...changes].join('\n').toLowerCase();
}
