// How a check says no.

// Malformed is what the parsers throw: they know what is wrong, not in which file.
export class Malformed extends Error {}

// Refused ends the verification: which check (form, signatures, headers, bodies,
// blobs, reports or opening state), in which member of the pack, why. Reasons that
// are about one entry begin with its seq.
export class Refused extends Error {
  constructor(check, member, reason) {
    super(`refused (${check}, ${member}): ${reason}`);
    this.check = check;
    this.member = member;
    this.reason = reason;
    const seq = /^seq (\d+)/.exec(reason);
    this.seq = seq ? Number(seq[1]) : null;
  }
}

// Unable ends it too, without a verdict: this program, on this machine, cannot
// check the pack, and the reader has to know that nothing was said about it.
export class Unable extends Error {}

// need throws Malformed unless the condition holds.
export function need(condition, reason) {
  if (!condition) throw new Malformed(reason);
}

// within runs part of a check; what is malformed in it refuses the member.
export function within(check, member, part) {
  const no = (err) => {
    throw err instanceof Malformed ? new Refused(check, member, err.message) : err;
  };
  try {
    const result = part();
    return result instanceof Promise ? result.catch(no) : result;
  } catch (err) {
    return no(err);
  }
}
