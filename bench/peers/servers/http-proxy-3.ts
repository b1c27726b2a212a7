/** http-proxy-3 with our verifier before it. */
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import { fieldsForApp, refusal, refuse } from './checks.ts';
import { readSettings } from './settings.ts';

const { app } = readSettings();
const proxy = createProxyServer({
  target: `http://127.0.0.1:${app}`,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
});
proxy.on('error', (_error, _request, response) => void response.end());

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const denial = refusal(request);
  if (denial !== undefined) {
    refuse(response, denial);
    return;
  }
  request.headers = fieldsForApp(request) as typeof request.headers;
  proxy.web(request, response);
});

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
