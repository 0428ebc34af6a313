// Parts of a page. What is in them is text or elements, never markup.

// element makes one, with attributes and listeners: {class: 'x', onclick: fn}.
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (typeof value === 'boolean') made.toggleAttribute(key, value);
    else made.setAttribute(key, value);
  }
  made.append(...content);
  return made;
}

// labelled is a control below what it is for.
export const labelled = (text, control) => element('label', {}, element('span', {}, text), control);

// choice is a list to choose from; options are [value, text].
export const choice = (id, options) => element('select', { id }, ...options.map(([value, text]) => element('option', { value }, text)));

// scrolled is a table that may be wider than the page.
export function scrolled(head, rows, name, look = '') {
  const title = element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)));
  return element('div', { class: `scroll ${look}`, tabindex: '0', role: 'region', 'aria-label': name }, element('table', {}, element('thead', {}, title), element('tbody', {}, ...rows)));
}

export const seqLink = (seq) => element('a', { href: `#seq-${seq}` }, String(seq));

export const PAGE = 100;

// Pages shows a long list, a hundred at a time.
export class Pages {
  // draw makes the elements of some items and gives what holds them.
  constructor(what, draw) {
    this.draw = draw;
    this.held = element('div');
    this.where = element('span', { role: 'status' });
    const go = (text, to) => element('button', { type: 'button', onclick: () => this.show(to()) }, text);
    this.back = [go('First', () => 0), go('Previous', () => this.at - PAGE)];
    this.on = [go('Next', () => this.at + PAGE), go('Last', () => Math.floor((this.items.length - 1) / PAGE) * PAGE)];
    this.nav = element('nav', { class: 'pages', 'aria-label': what }, ...this.back, this.where, ...this.on);
    this.element = element('div', {}, this.nav, this.held);
  }

  list(items) {
    this.items = items;
    this.show(0);
  }

  show(at) {
    this.at = Math.max(at, 0);
    const end = Math.min(this.at + PAGE, this.items.length);
    this.held.replaceChildren(this.draw(this.items.slice(this.at, end)));
    for (const button of this.back) button.disabled = this.at === 0;
    for (const button of this.on) button.disabled = end === this.items.length;
    this.where.textContent = this.items.length === 0 ? 'none' : `${(this.at + 1).toLocaleString('en')}–${end.toLocaleString('en')} of ${this.items.length.toLocaleString('en')}`;
  }
}
