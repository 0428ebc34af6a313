// Answers what it was asked, and where it runs. No dependencies, no database.
//
// GET /reach?host=…&port=… tries a TCP connection and says how it went: with it
// a test shows from the inside what a space cannot reach.
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { hostname } from 'node:os';

const started = new Date().toISOString();

function reach(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3000 });
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end('connected'));
    socket.once('timeout', () => end('timeout'));
    socket.once('error', (err) => end(err.code ?? 'error'));
  });
}

async function answer(url) {
  if (url.pathname !== '/reach') return {};
  const port = Number(url.searchParams.get('port'));
  if (!url.searchParams.get('host') || !(port > 0 && port < 65536)) return { error: 'host and port are needed' };
  return { result: await reach(url.searchParams.get('host'), port) };
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://echo');
  const body = {
    method: request.method,
    path: url.pathname,
    proto: request.headers['x-forwarded-proto'] ?? 'http',
    for: request.headers['x-forwarded-for'] ?? '',
    request: request.headers['x-request-id'] ?? '',
    dyno: process.env.DYNO ?? hostname(),
    started,
    ...(await answer(url)),
  };
  response.writeHead(body.error ? 400 : 200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
  console.log(JSON.stringify({ msg: 'request', method: body.method, path: body.path, request: body.request }));
});

server.listen(Number(process.env.PORT ?? 3000), '::', () => console.log(JSON.stringify({ msg: 'listening', started })));
process.once('SIGTERM', () => {
  console.log(JSON.stringify({ msg: 'stopping' }));
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
