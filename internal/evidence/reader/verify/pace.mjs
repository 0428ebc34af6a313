// Pace lets a long check tell how far it is, and lets a page draw in between.
const TELL_EVERY = 50; // milliseconds

export class Pace {
  // watch is {check, progress, rest}, all optional: see verify.mjs.
  constructor(watch) {
    this.watch = watch;
    this.calls = 0;
    this.last = 0;
  }

  // begin names the check that is being made.
  begin(check) {
    this.check = check;
  }

  // due says whether it is time to rest; asking costs next to nothing.
  due() {
    return (++this.calls & 63) === 0 && performance.now() - this.last >= TELL_EVERY;
  }

  // rest tells what was done, and waits until the page is drawn.
  async rest(done, total) {
    this.watch.progress?.(this.check, done, total);
    await this.watch.rest?.();
    this.last = performance.now();
  }
}
