// Entries in words: what a dossier says of each.
import { isObject } from '../verify/json.mjs';

const MAX_PARTS = 200;
const MAX_VALUE = 1000;
const DID = { ok: 'did', denied: 'was refused', failed: 'did not succeed in' };

// WHY says why an entry is part of a story.
export const WHY = {
  drawn: 'the item itself',
  same: 'changed or was aimed at something that the item is about',
  naming: 'made or changed something that names the item',
  cause: 'brought the item about, or was brought about by it',
  standing: 'left something that the item names as it stood then',
};

export const actorOf = ({ actor }) => actor.email || actor.id || 'nobody logged in';
export const targetOf = ({ target }) => (target.kind ? `${target.kind} ${target.name || target.id || ''}`.trim() : '');

// words is an entry as a sentence or two.
export function words(body) {
  const { actor, target, outcome, action, via } = body;
  const roles = actor.kind === 'account' ? [...(actor.roles ?? [])].join(', ') : actor.kind;
  const say = [`${actorOf(body)}${roles ? ` (${roles})` : ''} ${DID[outcome]} ${action}${target.kind ? ` of the ${targetOf(body)}` : ''}, via ${via}.`];
  if (body.reason) say.push(`The reason given: ${body.reason}.`);
  if (body.error) say.push(`They were told: ${body.error}`);
  if (Number.isSafeInteger(body.cause)) say.push(`Brought about by entry ${body.cause}.`);
  if (body.count > 1) say.push(`This stands for ${body.count} equal refusals.`);
  for (const { name, value } of body.details ?? []) if (value) say.push(`${name}: ${value}.`);
  return say.join(' ');
}

// changed tells which values of a document are not what they were: {how, parts:
// [{path, before, after}], more}. was is undefined if that is not known, null if
// there was no document.
export function changed({ doc }, was) {
  const before = leaves(was), after = leaves(doc), parts = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, now] = [before.get(path) ?? '', after.get(path) ?? ''];
    if (old !== now) parts.push({ path, before: short(old), after: short(now) });
  }
  return { how: how(doc, was), parts: parts.slice(0, MAX_PARTS), more: Math.max(parts.length - MAX_PARTS, 0) };
}

function how(doc, was) {
  if (doc === null) return 'deleted';
  if (was === undefined) return 'as it is';
  return was === null ? 'made' : 'changed';
}

// leaves are the values in a document that hold no others, by path.
function leaves(value, path = '', found = new Map()) {
  if (Array.isArray(value)) value.forEach((inner, at) => leaves(inner, `${path}/${at}`, found));
  else if (isObject(value)) for (const [name, inner] of Object.entries(value)) leaves(inner, `${path}/${name}`, found);
  else if (value !== null && value !== undefined) found.set(path, typeof value === 'string' ? value : JSON.stringify(value));
  return found;
}

const short = (text) => (text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}… (${text.length} characters in all)`);
