import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { buildApp } from '../src/app.js';
import { connectionOptions } from '../src/database.js';
import { InvalidPatient, parsePatient } from '../src/patients.js';

// A store in memory with the same promises as the one in PostgreSQL.
function memoryStore() {
  const patients = [];
  return {
    patients,
    async add(patient) {
      const row = { id: String(patients.length + 1), status: 'new', createdAt: new Date(), ...patient };
      patients.unshift(row);
      return row;
    },
    list: async () => patients,
    ping: async () => {},
  };
}

const ada = { name: 'Ada <b>Lovelace</b>', dateOfBirth: '1985-12-10', reason: 'Checkup & "advice"' };

function setUp(store = memoryStore()) {
  const lines = [];
  const stream = new Writable({
    write(chunk, encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { app: buildApp({ store, logger: { level: 'info', stream } }), store, log: () => lines.join('') };
}

test('the JSON API keeps patients', async () => {
  const { app } = setUp();
  const added = await app.inject({ method: 'POST', url: '/patients', payload: ada });
  assert.equal(added.statusCode, 201);
  assert.equal(added.json().status, 'new');
  const list = await app.inject('/patients');
  assert.equal(list.json().patients[0].name, ada.name);
});

test('the form adds and comes back to the list', async () => {
  const { app, store } = setUp();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const added = await app.inject({ method: 'POST', url: '/', headers, payload: new URLSearchParams(ada).toString() });
  assert.equal(added.statusCode, 303);
  assert.equal(store.patients.length, 1);
  const page = await app.inject('/');
  assert.match(page.body, /Ada &lt;b&gt;Lovelace/);
  assert.doesNotMatch(page.body, /<b>Lovelace/);
  assert.match(page.headers['content-security-policy'], /default-src 'none'/);
});

test('what is wrong is said at the field, and kept', async () => {
  const { app, store } = setUp();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const payload = new URLSearchParams({ ...ada, dateOfBirth: '2999-01-01' }).toString();
  const answer = await app.inject({ method: 'POST', url: '/', headers, payload });
  assert.equal(answer.statusCode, 422);
  assert.match(answer.body, /date of birth in the past/);
  assert.match(answer.body, /value="Ada &lt;b&gt;Lovelace/);
  assert.equal(store.patients.length, 0);
});

test('nothing of a patient is in the log, also when the database fails', async () => {
  const store = memoryStore();
  const { app, log } = setUp(store);
  await app.inject({ method: 'POST', url: '/patients?name=Ada', payload: ada });
  store.add = async () => {
    throw Object.assign(new Error('duplicate key: (Ada Lovelace, 1985-12-10)'), { code: '23505' });
  };
  const failed = await app.inject({ method: 'POST', url: '/patients', payload: ada });
  assert.equal(failed.statusCode, 500);
  assert.doesNotMatch(failed.body, /Ada/);
  assert.match(log(), /23505/);
  assert.doesNotMatch(log(), /Ada|1985|Checkup/);
});

test('a healthy app says so, one without database does not', async () => {
  const store = memoryStore();
  const { app } = setUp(store);
  assert.equal((await app.inject('/healthz')).statusCode, 200);
  store.ping = async () => {
    throw new Error('down');
  };
  assert.equal((await app.inject('/healthz')).statusCode, 503);
});

test('broken requests are refused as such', async () => {
  const { app } = setUp();
  const headers = { 'content-type': 'application/json' };
  assert.equal((await app.inject({ method: 'POST', url: '/patients', headers, payload: '{' })).statusCode, 400);
  assert.equal((await app.inject({ method: 'POST', url: '/patients', headers, payload: JSON.stringify({ name: 'x'.repeat(70000) }) })).statusCode, 413);
  assert.equal((await app.inject('/nothing')).statusCode, 404);
});

test('parsePatient', () => {
  for (const bad of [null, {}, { ...ada, name: ' ' }, { ...ada, name: 'x'.repeat(201) }, { ...ada, dateOfBirth: '2024-02-30' }, { ...ada, dateOfBirth: '10/12/1985' }, { ...ada, reason: 7 }]) {
    assert.throws(() => parsePatient(bad), InvalidPatient);
  }
  assert.deepEqual(parsePatient({ ...ada, name: ' Ada ' }).name, 'Ada');
});

test('the database connection is verified unless it is said not to be', () => {
  const env = { DATABASE_URL: 'postgres://u:p@db.example.org:5432/d?sslmode=require' };
  assert.equal(connectionOptions(env).ssl.rejectUnauthorized, true);
  assert.equal(connectionOptions({ ...env, DATABASE_CA: 'PEM' }).ssl.ca, 'PEM');
  assert.equal(connectionOptions({ ...env, STRONGROOM_SPACE_CA: 'SPACE' }).ssl.ca, 'SPACE');
  assert.doesNotMatch(connectionOptions(env).connectionString, /sslmode/);
  assert.equal(connectionOptions({ ...env, DATABASE_TLS: 'off' }).ssl, undefined);
  assert.throws(() => connectionOptions({}), /DATABASE_URL/);
});
