// The list of entries: search, filters, pages; each entry opens to its header
// and body.
import { choice, element, labelled, Pages, PAGE, scrolled, seqLink } from '../page/dom.mjs';
import { scopeOf, Search } from './search.mjs';
import { actorOf, changed, targetOf, words } from './words.mjs';

const WAIT = 150; // milliseconds after the last key

export class Entries {
  // more gives what else an opened entry shows.
  constructor(result, stories, more) {
    this.stories = stories;
    this.more = more;
    this.search = new Search(result.entries);
    this.form = this.#form(result.manifest);
    this.pages = new Pages('Pages of entries', (list) => this.#table(list));
    this.element = element('section', { 'aria-labelledby': 'entries-title' },
      element('h3', { id: 'entries-title' }, 'Entries'),
      element('p', {}, 'Every entry whose body is in the pack. Open one to see all that was recorded. Times are in UTC.'), this.form, this.pages.element);
    this.#find();
  }

  #form({ scopes }) {
    const any = (values) => [['', 'any'], ...values.map((value) => [value, value])];
    const field = (id, text, attributes) => labelled(text, element('input', { id, autocomplete: 'off', ...attributes }));
    const said = new Set(this.search.values(({ header }) => scopeOf(header)));
    const form = element('form', { class: 'filters', role: 'search', onsubmit: (event) => event.preventDefault() },
      field('find-text', 'Search: action, who, what, reason, id', { type: 'search', class: 'wide' }),
      labelled('Action', choice('find-action', any(this.search.values(({ body }) => body.action)))),
      labelled('Who', choice('find-actor', any(this.search.values(({ body }) => actorOf(body))))),
      labelled('Outcome', choice('find-outcome', any(['ok', 'denied', 'failed']))),
      labelled('Scope', choice('find-scope', any(scopes.map((scope) => scope ?? 'installation').filter((scope) => said.has(scope))))),
      field('find-from', 'From', { placeholder: '2026-03-02T14:00', pattern: '[0-9:.TZ\\-]*' }),
      field('find-to', 'Up to and including', { placeholder: '2026-03-02', pattern: '[0-9:.TZ\\-]*' }),
      element('button', { type: 'button', onclick: () => this.#all() }, 'Show all'));
    let waiting;
    form.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.#find(), WAIT);
    });
    return form;
  }

  #find() {
    const value = (name) => this.form.querySelector(`#find-${name}`).value.trim();
    const wanted = Object.fromEntries(['text', 'action', 'actor', 'outcome', 'scope', 'from', 'to'].map((name) => [name, value(name)]));
    this.pages.list(this.search.find(wanted));
  }

  #all() {
    this.form.reset();
    this.#find();
  }

  // open shows an entry, whatever the filters are. It says whether there is one.
  open(seq) {
    if (!this.stories.bySeq.has(seq)) return false;
    const at = () => this.pages.items.findIndex((entry) => entry.seq === seq);
    if (at() < 0) this.#all();
    const index = at();
    this.pages.show(Math.floor(index / PAGE) * PAGE);
    const row = this.pages.held.querySelector(`#seq-${seq}`);
    this.#unfold(row, this.pages.items[index]);
    row.scrollIntoView({ block: 'start' });
    row.querySelector('button').focus({ preventScroll: true });
    return true;
  }

  #table(list) {
    if (list.length === 0) return element('p', { class: 'empty' }, 'No entry is like that.');
    return scrolled(['seq', 'time', 'who', 'action', 'outcome', 'of'], list.map((entry) => this.#row(entry)), 'Entries', 'list');
  }

  #row(entry) {
    const { seq, header, body } = entry;
    const unfold = element('button', { type: 'button', class: 'seq', 'aria-expanded': 'false', onclick: () => this.#fold(row, entry) }, String(seq));
    const row = element('tr', { id: `seq-${seq}` }, element('td', {}, unfold), ...[shortTime(header.time), actorOf(body), body.action].map((text) => element('td', {}, text)),
      element('td', { class: body.outcome === 'ok' ? '' : 'bad' }, body.outcome), element('td', {}, targetOf(body)));
    return row;
  }

  #fold(row, entry) {
    if (row.nextElementSibling?.className !== 'opened') return this.#unfold(row, entry);
    row.nextElementSibling.remove();
    row.querySelector('button').setAttribute('aria-expanded', 'false');
  }

  #unfold(row, entry) {
    if (row.nextElementSibling?.className === 'opened') return;
    row.querySelector('button').setAttribute('aria-expanded', 'true');
    const { header, body } = entry;
    row.after(element('tr', { class: 'opened' }, element('td', { colspan: '6' },
      element('p', {}, words(body)), ...causes(body), ...this.more(entry), ...(body.changes ?? []).map((change) => changeOf(change, this.stories)),
      raw('Header', header), raw('Body', body))));
  }
}

export const shortTime = (time) => `${time.slice(0, 10)} ${time.slice(11, 19)}`;

// causes are links to the entries that this one names by their seq.
function causes({ cause, changes }) {
  const seen = (changes ?? []).flatMap(({ doc }) => (Array.isArray(doc?.seqs) ? doc.seqs : []));
  const seqs = [...new Set([cause, ...seen])].filter(Number.isSafeInteger).slice(0, PAGE);
  return seqs.length === 0 ? [] : [element('p', {}, 'It names the entries ', ...seqs.flatMap((seq, n) => (n === 0 ? [seqLink(seq)] : [', ', seqLink(seq)])), '.')];
}

// changeOf is what became of a document.
export function changeOf(change, stories) {
  const { how, parts, more } = changed(change, stories.before(change));
  const rows = parts.map(({ path, before, after }) => element('tr', {}, element('td', {}, element('code', {}, path)), element('td', {}, before), element('td', {}, after)));
  const shown = element('details', { open: parts.length < 40 }, element('summary', {}, `${change.kind} ${change.id}, revision ${change.rev}: ${how}`));
  if (rows.length > 0) shown.append(scrolled(['value', 'before', 'after'], rows, 'What changed'));
  if (more > 0) shown.append(element('p', {}, `${more} more values differ.`));
  return shown;
}

// raw is a value as it was recorded, written when it is opened.
function raw(title, value) {
  const text = element('pre');
  return element('details', { ontoggle: () => { text.textContent ||= JSON.stringify(value, null, 2); } }, element('summary', {}, title), text);
}
