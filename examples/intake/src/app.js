import formbody from '@fastify/formbody';
import Fastify from 'fastify';
import { page, style } from './page.js';
import { InvalidPatient, parsePatient } from './patients.js';

// What a request's log line holds: no body, no query, no header, no address.
const serializers = {
  req: (request) => ({ method: request.method, route: request.routeOptions?.url, id: request.id }),
  res: (reply) => ({ status: reply.statusCode }),
  // A database's message can quote the row that it is about.
  err: (err) => ({ type: err.name, code: err.code, stack: err.stack?.split('\n').slice(1).join('\n') }),
};

export function buildApp({ store, logger }) {
  const app = Fastify({
    logger: logger && { ...logger, serializers },
    bodyLimit: 64 * 1024,
    requestIdHeader: 'x-request-id',
    trustProxy: true,
    forceCloseConnections: 'idle',
  });
  app.register(formbody);

  app.addHook('onSend', async (request, reply) => {
    reply.headers({
      'content-security-policy': "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    if (request.routeOptions.url !== '/style.css') reply.header('cache-control', 'no-store');
  });

  app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(page({ patients: await store.list() })));
  app.post('/', async (request, reply) => {
    try {
      await store.add(parsePatient(request.body));
    } catch (err) {
      if (!(err instanceof InvalidPatient)) throw err;
      const body = page({ patients: await store.list(), values: request.body ?? {}, problems: err.problems });
      return reply.code(422).type('text/html; charset=utf-8').send(body);
    }
    return reply.redirect('/', 303);
  });

  app.get('/patients', async () => ({ patients: await store.list() }));
  app.post('/patients', async (request, reply) => reply.code(201).send(await store.add(parsePatient(request.body))));

  app.get('/style.css', async (request, reply) => reply.type('text/css').header('cache-control', 'max-age=3600').send(style));
  app.get('/healthz', async (request, reply) => {
    try {
      await store.ping();
    } catch {
      return reply.code(503).send({ status: 'the database does not answer' });
    }
    return { status: 'ok' };
  });

  app.setErrorHandler((err, request, reply) => {
    if (err instanceof InvalidPatient) return reply.code(422).send({ error: 'invalid', problems: err.problems });
    if (err.statusCode >= 400 && err.statusCode < 500) return reply.code(err.statusCode).send({ error: err.code ?? 'bad_request' });
    request.log.error({ err }, 'request failed');
    return reply.code(500).send({ error: 'internal', request: request.id });
  });
  return app;
}
