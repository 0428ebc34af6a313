import { readFileSync } from 'node:fs';
import pg from 'pg';

// connectionOptions reads DATABASE_URL and the authority that signs the
// server's certificate. The connection is encrypted and the certificate is
// verified; only DATABASE_TLS=off, for a database on the developer's own
// machine, turns that off.
export function connectionOptions(env) {
  if (!env.DATABASE_URL) throw new Error('DATABASE_URL is not set');
  const url = new URL(env.DATABASE_URL);
  url.searchParams.delete('sslmode'); // it would replace the settings below
  const options = { connectionString: url.toString(), max: 5, connectionTimeoutMillis: 5000, application_name: 'intake' };
  if (env.DATABASE_TLS === 'off') return options;
  let ca = env.DATABASE_CA ?? env.STRONGROOM_SPACE_CA;
  if (!ca && env.PGSSLROOTCERT) ca = readFileSync(env.PGSSLROOTCERT, 'utf8');
  return { ...options, ssl: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca ? { ca } : {}) } };
}

export function openDatabase(env) {
  const pool = new pg.Pool(connectionOptions(env));
  // A connection that breaks while idle is replaced at its next use.
  pool.on('error', (err) => console.error(JSON.stringify({ msg: 'database connection lost', code: err.code ?? err.name })));
  return pool;
}
