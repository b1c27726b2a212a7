/** node:http in front, undici behind, our verifier between. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Dispatcher, Pool } from 'undici';
import { fieldsForApp, refusal, refuse } from './checks.ts';
import { readSettings } from './settings.ts';

const { app } = readSettings();
const pool = new Pool(`http://127.0.0.1:${app}`, { connections: 256, pipelining: 1 });

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const denial = refusal(request);
  if (denial === undefined) forward(request, response);
  else refuse(response, denial);
});

function forward(request: IncomingMessage, response: ServerResponse): void {
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  pool.dispatch(
    {
      path: request.url as string,
      method: request.method as Dispatcher.HttpMethod,
      headers: fieldsForApp(request),
      body: hasBody ? request : null,
    },
    {
      onRequestStart(controller) {
        // Whoever leaves a stream leaves no call behind that goes on for nobody.
        response.once('close', () => {
          if (!response.writableFinished) controller.abort(new Error('the client has gone'));
        });
      },
      onResponseStart(controller, status, fields) {
        delete fields.connection;
        delete fields['keep-alive'];
        response.writeHead(status, fields);
        response.on('drain', () => controller.resume());
      },
      onResponseData(controller, chunk) {
        if (!response.write(chunk)) controller.pause();
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError() {
        response.destroy();
      },
    },
  );
}

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
);
