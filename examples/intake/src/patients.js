// What a patient record may be, and where it is kept.

export class InvalidPatient extends Error {
  constructor(problems) {
    super('invalid patient');
    this.problems = problems; // field → what is wrong; never the value
  }
}

export function parsePatient(input) {
  const text = (value) => (typeof value === 'string' ? value.trim() : '');
  const patient = { name: text(input?.name), dateOfBirth: text(input?.dateOfBirth), reason: text(input?.reason) };
  const problems = {};
  if (patient.name === '' || patient.name.length > 200) problems.name = 'Give a name of up to 200 characters.';
  if (patient.reason === '' || patient.reason.length > 2000) problems.reason = 'Give a reason of up to 2000 characters.';
  if (!isPastDate(patient.dateOfBirth)) problems.dateOfBirth = 'Give a date of birth in the past, as YYYY-MM-DD.';
  if (Object.keys(problems).length > 0) throw new InvalidPatient(problems);
  return patient;
}

function isPastDate(text) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  // An impossible day such as February 30 moves to another one, or is no date.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text) && date < new Date() && text > '1900';
}

const columns = `id, name, to_char(date_of_birth, 'YYYY-MM-DD') AS "dateOfBirth", reason, status, created_at AS "createdAt"`;

export function patientStore(pool) {
  return {
    async add({ name, dateOfBirth, reason }) {
      const sql = `INSERT INTO patients (name, date_of_birth, reason) VALUES ($1, $2, $3) RETURNING ${columns}`;
      return (await pool.query(sql, [name, dateOfBirth, reason])).rows[0];
    },
    async list() {
      return (await pool.query(`SELECT ${columns} FROM patients ORDER BY created_at DESC, id LIMIT 1000`)).rows;
    },
    async queueNew() {
      return (await pool.query(`UPDATE patients SET status = 'queued' WHERE status = 'new'`)).rowCount;
    },
    async ping() {
      await pool.query('SELECT 1');
    },
  };
}
