// The web process: serves until it is told to stop, then finishes what it has.
import { buildApp } from './src/app.js';
import { openDatabase } from './src/database.js';
import { patientStore } from './src/patients.js';

const pool = openDatabase(process.env);
const app = buildApp({ store: patientStore(pool), logger: { level: process.env.LOG_LEVEL ?? 'info' } });

async function stop(signal) {
  app.log.info({ signal }, 'stopping');
  await app.close(); // no new connections; requests under way are answered
  await pool.end();
  process.exit(0);
}
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(signal));

await app.listen({ host: '::', port: Number(process.env.PORT ?? 3000) });
