// How a check says no.

// Malformed is what the parsers throw: they know what is wrong, not in which file.
export class Malformed extends Error {}

// Refused ends the verification: which check (form, signatures, headers, bodies,
// blobs, reports or opening state), in which member of the pack, why.
export class Refused extends Error {
  constructor(check, member, reason) {
    super(`refused (${check}, ${member}): ${reason}`);
    this.check = check;
    this.member = member;
  }
}

// need throws Malformed unless the condition holds.
export function need(condition, reason) {
  if (!condition) throw new Malformed(reason);
}

// within runs part of a check; what is malformed in it refuses the member.
export function within(check, member, part) {
  try {
    return part();
  } catch (err) {
    if (err instanceof Malformed) throw new Refused(check, member, err.message);
    throw err;
  }
}
