// The worker process: puts new patients into the queue of the front desk.
import { openDatabase } from './src/database.js';
import { patientStore } from './src/patients.js';

const pool = openDatabase(process.env);
const store = patientStore(pool);
const log = (fields) => console.log(JSON.stringify({ time: new Date().toISOString(), ...fields }));

let stopping = false;
let wake = () => {};
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    stopping = true;
    wake();
  });
}

log({ msg: 'worker started' });
while (!stopping) {
  try {
    const moved = await store.queueNew();
    if (moved > 0) log({ msg: 'queued', patients: moved });
  } catch (err) {
    log({ msg: 'queue failed', code: err.code ?? err.name });
  }
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, 5000);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
await pool.end();
log({ msg: 'worker stopped' });
