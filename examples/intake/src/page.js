// The one page of the app. Everything that a person typed is escaped.

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
export const escape = (value) => String(value).replace(/[&<>"']/g, (c) => entities[c]);

export const style = `
:root { font-family: system-ui, sans-serif; color: #1d2733; background: #f3f5f8; line-height: 1.5 }
body { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem }
h1 { margin: 0 } header p { margin: .25rem 0 2rem; color: #566373 }
main { display: grid; grid-template-columns: minmax(16rem, 1fr) 2fr; gap: 2rem; align-items: start }
@media (max-width: 45rem) { main { grid-template-columns: 1fr } }
form, section { background: #fff; border: 1px solid #d9dfe7; border-radius: .5rem; padding: 1.25rem }
h2 { margin: 0 0 1rem; font-size: 1.1rem }
label { display: block; margin-bottom: 1rem; font-weight: 600 }
input, textarea { display: block; box-sizing: border-box; width: 100%; margin-top: .25rem; padding: .5rem; font: inherit; font-weight: 400; border: 1px solid #a9b4c2; border-radius: .25rem }
button { padding: .6rem 1.2rem; font: inherit; font-weight: 600; color: #fff; background: #14532d; border: 0; border-radius: .25rem; cursor: pointer }
button:focus-visible, input:focus-visible, textarea:focus-visible { outline: 3px solid #6ca07f; outline-offset: 1px }
.problem { color: #9b1c1c; font-weight: 400; font-size: .9rem }
table { width: 100%; border-collapse: collapse } th, td { text-align: left; padding: .5rem; border-bottom: 1px solid #e6eaf0; vertical-align: top }
td.date { white-space: nowrap } td.reason { overflow-wrap: anywhere } .status { padding: .1rem .5rem; border-radius: 1rem; background: #e2efe7; font-size: .85rem }
.empty { color: #566373 }
`;

function field(label, name, control, problems) {
  const problem = problems[name] ? `<span class="problem" id="${name}-problem">${escape(problems[name])}</span>` : '';
  return `<label>${label}${problem}${control(problem ? ` aria-invalid="true" aria-describedby="${name}-problem"` : '')}</label>`;
}

function row(patient) {
  return `<tr><td>${escape(patient.name)}</td><td class="date">${escape(patient.dateOfBirth)}</td>
<td class="reason">${escape(patient.reason)}</td><td><span class="status">${escape(patient.status)}</span></td></tr>`;
}

export function page({ patients, values = {}, problems = {} }) {
  const value = (name) => escape(values[name] ?? '');
  const list = patients.length
    ? `<table><thead><tr><th>Name</th><th>Born</th><th>Reason</th><th>Status</th></tr></thead><tbody>${patients.map(row).join('')}</tbody></table>`
    : '<p class="empty">Nobody is waiting.</p>';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Patient intake</title><link rel="stylesheet" href="/style.css"></head>
<body><header><h1>Patient intake</h1><p>Who is here, and why.</p></header>
<main><form method="post" action="/"><h2>New patient</h2>
${field('Name', 'name', (a) => `<input name="name" required maxlength="200" autocomplete="off" value="${value('name')}"${a}>`, problems)}
${field('Date of birth', 'dateOfBirth', (a) => `<input name="dateOfBirth" type="date" required value="${value('dateOfBirth')}"${a}>`, problems)}
${field('Reason for the visit', 'reason', (a) => `<textarea name="reason" rows="4" required maxlength="2000"${a}>${value('reason')}</textarea>`, problems)}
<button>Register</button></form>
<section><h2>Waiting</h2>${list}</section></main></body></html>`;
}
