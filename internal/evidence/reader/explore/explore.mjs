// Looking into a pack that was checked: search, samples, and links to entries.
// It fills the section #explore when page.mjs says that a pack was verified.
import { element } from '../page/dom.mjs';
import { Entries } from './entries.mjs';
import { Samples } from './samples.mjs';
import { Stories } from './story.mjs';

const section = document.getElementById('explore');
const wanted = element('p', { class: 'lacking', hidden: true, role: 'status' });
let entries = null;

// told says why an entry that a link leads to is not shown.
function told(text) {
  wanted.textContent = text;
  wanted.hidden = text === '';
}

// follow opens the entry that the address names, as #seq-123.
function follow() {
  const found = /^#seq-([0-9]{1,15})$/.exec(location.hash);
  if (!found) return told('');
  const seq = Number(found[1]);
  if (section.hidden || !entries) {
    told(`Entry ${seq} opens when the pack has been checked: choose it, and the key, below.`);
    wanted.scrollIntoView({ block: 'start' });
  } else {
    told(entries.open(seq) ? '' : `The pack does not hold the body of entry ${seq}: it is of another scope, outside of the period, or erased.`);
  }
}

function show({ detail: result }) {
  entries = null;
  const title = element('h2', {}, 'Look into the pack');
  if (result.entries === null) {
    section.replaceChildren(title, element('p', {}, `The pack has ${result.entryCount.toLocaleString('en')} entries, more than a page can hold. The reports have all rows as CSV; `,
      element('code', {}, 'strongroom evidence:sample'), ' draws samples of a pack of any size.'));
    return;
  }
  const stories = new Stories(result.entries), samples = new Samples(result, stories);
  const story = ({ seq }) => samples.open({ seq, identity: String(seq), document: '' }, false);
  entries = new Entries(result, stories, (entry) => [element('p', {}, element('button', { type: 'button', onclick: () => story(entry) }, 'Its whole story'))]);
  section.replaceChildren(title, entries.element, samples.element);
  follow();
}

section.addEventListener('verified', show);
window.addEventListener('hashchange', follow);
document.getElementById('check').before(wanted);
follow();
