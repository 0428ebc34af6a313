// The release phase: brings the database to the newest migration, or fails the
// release. Each file of migrations/ runs once, in a transaction.
import { readdir, readFile } from 'node:fs/promises';
import { openDatabase } from './src/database.js';

const pool = openDatabase(process.env);
const client = await pool.connect();
try {
  // Two releases at once must not run the same migration.
  await client.query('SELECT pg_advisory_lock(7461001)');
  await client.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())');
  const { rows } = await client.query('SELECT name FROM migrations');
  const done = new Set(rows.map((row) => row.name));
  const dir = new URL('./migrations/', import.meta.url);
  for (const name of (await readdir(dir)).filter((file) => file.endsWith('.sql')).sort()) {
    if (done.has(name)) continue;
    await client.query('BEGIN');
    await client.query(await readFile(new URL(name, dir), 'utf8'));
    await client.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
    await client.query('COMMIT');
    console.log(`applied ${name}`);
  }
  console.log('the database is up to date');
} finally {
  client.release(true);
  await pool.end();
}
