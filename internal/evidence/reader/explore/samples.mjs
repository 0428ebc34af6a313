// Samples by the auditor's own seed, and the dossiers of what was drawn.
import { choice, element, labelled, Pages, scrolled, seqLink } from '../page/dom.mjs';
import { draw, MAX_COUNT, nameOf, Wrong } from './draw.mjs';
import { changeOf, shortTime } from './entries.mjs';
import { WHY, words } from './words.mjs';

export class Samples {
  constructor(result, stories) {
    this.result = result;
    this.stories = stories;
    this.says = element('div', { role: 'status' });
    this.pages = new Pages('Pages of the sample', (items) => this.#table(items));
    this.drawn = element('div', { hidden: true }, this.pages.element,
      element('p', {}, element('button', { type: 'button', id: 'print-dossiers', onclick: () => this.#print() }, 'Print the dossiers of this page')));
    this.dossiers = element('div', { class: 'dossiers' });
    this.element = element('section', { 'aria-labelledby': 'sample-title' }, element('h3', { id: 'sample-title' }, 'Sample'),
      element('p', {}, 'Choose a seed now that you have the pack: a throw of dice, a headline. Whoever wrote the pack could not know which rows it takes. The same seed draws the same rows everywhere, also with ',
        element('code', {}, 'strongroom evidence:sample'), '.'), this.#form(), this.says, this.drawn, this.dossiers);
  }

  #form() {
    const { reports } = this.result, report = () => reports[Number(this.form.elements['sample-report'].value)];
    const columns = () => [['', 'all rows'], ...report().head.map((title, at) => [String(at), `rows whose ${title} is`])];
    this.form = element('form', { class: 'filters', onsubmit: (event) => { event.preventDefault(); this.#draw(report()); } },
      labelled('Population', choice('sample-report', reports.map((one, at) => [String(at), `${nameOf(one)} (${one.rows.length.toLocaleString('en')} rows)`]))),
      labelled('Limited to', element('select', { id: 'sample-column' })), labelled('that value', element('input', { id: 'sample-value', autocomplete: 'off' })),
      labelled('Your seed', element('input', { id: 'sample-seed', autocomplete: 'off', maxlength: '200', required: true })),
      labelled('How many', element('input', { id: 'sample-count', type: 'number', min: '1', max: String(MAX_COUNT), value: '25', required: true })),
      element('button', { type: 'submit' }, 'Draw'));
    const limits = () => {
      const column = this.form.elements['sample-column'];
      column.replaceChildren(...choice('', columns()).children);
      column.value = '';
    };
    this.form.elements['sample-report'].addEventListener('change', limits);
    if (reports.length > 0) limits();
    return this.form;
  }

  #draw(report) {
    const value = (name) => this.form.elements[`sample-${name}`].value, column = value('column');
    const where = column === '' ? [] : [{ column: report.head[Number(column)], value: value('value') }];
    const ask = { report: report.path, seed: value('seed'), count: Number(value('count')), where };
    this.dossiers.replaceChildren();
    this.drawn.hidden = true;
    try {
      this.sample = draw(this.result, ask);
    } catch (err) {
      if (!(err instanceof Wrong)) throw err;
      this.says.replaceChildren(element('p', { class: 'bad' }, err.message));
      return;
    }
    this.ask = ask;
    this.says.replaceChildren(element('p', {}, this.#drawnHow()));
    this.drawn.hidden = this.sample.items.length === 0;
    this.pages.list(this.sample.items);
  }

  // drawnHow says of what and by which rule the sample was drawn.
  #drawnHow() {
    const { path, population, items } = this.sample, { seed, where } = this.ask;
    const of = where.map(({ column, value }) => ` whose ${column} is “${value}”`).join('');
    return `Population: ${population.toLocaleString('en')} rows of ${path}${of}. Drawn: the first ${items.length} by SHA-256 of the seed “${seed}”, a zero byte, ${path}, a zero byte, and the row’s identity.`;
  }

  #table(items) {
    const { head } = this.sample, shown = head.slice(1, 7);
    const rows = items.map((item) => element('tr', {},
      element('td', {}, element('button', { type: 'button', class: 'dossier-of', onclick: () => this.open(item) }, 'Dossier')), element('td', {}, item.identity),
      element('td', {}, element('code', { title: item.order }, `${item.order.slice(0, 12)}…`)), ...item.cells.slice(1, 7).map((text) => element('td', {}, text))));
    return scrolled(['', 'identity', 'digest', ...shown], rows, 'The sample');
  }

  // open shows one dossier.
  open(item, row = true) {
    const shown = this.#dossier(item, row);
    this.dossiers.replaceChildren(shown);
    shown.focus();
    shown.scrollIntoView({ block: 'start' });
  }

  // print shows the dossiers of the page of the sample, and nothing else on paper.
  #print() {
    const { at } = this.pages;
    this.dossiers.replaceChildren(element('p', { class: 'paper' }, this.#drawnHow()), ...this.sample.items.slice(at, at + 100).map((item) => this.#dossier(item, true)));
    document.body.classList.add('printing');
    window.addEventListener('afterprint', () => document.body.classList.remove('printing'), { once: true });
    window.print();
  }

  #dossier(item, row) {
    const { entries, more } = this.stories.of(item);
    const facts = row ? [element('dl', { class: 'facts' }, ...this.sample.head.flatMap((title, at) => [element('dt', {}, title), element('dd', {}, item.cells[at])]))] : [];
    const left = more > 0 ? [element('p', { class: 'lacking' }, `${more} more entries belong to it, those farthest away, and are not shown.`)] : [];
    return element('article', { class: 'dossier', tabindex: '-1', 'aria-label': `Dossier of ${item.identity}` }, element('h4', {}, `Dossier of ${item.identity}`), ...facts,
      element('p', {}, 'Every entry of the pack that belongs to it, by time. What much else belongs to, such as the app and the accounts, is shown as it stood then.'),
      ...left, ...entries.map(({ entry, why }) => this.#told(entry, why)));
  }

  #told({ seq, header, body }, why) {
    const blobs = (body.blobs ?? []).map(({ role, sha256, size }) => element('p', { class: 'hint' }, `${role}: `, element('code', {}, sha256), `, ${size} bytes`));
    return element('section', { class: `told ${why}` }, element('h5', {}, 'Entry ', seqLink(seq), `: ${body.action}, `, element('span', { class: body.outcome === 'ok' ? 'ok' : 'bad' }, body.outcome)),
      element('p', { class: 'hint' }, `${shortTime(header.time)} UTC · ${WHY[why]}`), element('p', {}, words(body)),
      ...(body.changes ?? []).map((change) => changeOf(change, this.stories)), ...blobs);
  }
}
