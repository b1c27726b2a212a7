import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { startConsole } from '../../../sidecar/console/server.ts';
import { consoleFiles, testConsole, testMetricsToken } from '../../support/console-server.ts';
import { demoFleet } from '../../support/demo-fleet.ts';
import { httpCall } from '../../support/http-call.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

t.test('serves its documents to the token alone, and every page to loopback names alone', async (t) => {
  const { url, token } = await testConsole(t, await demoFleet(t));
  for (const path of [
    '/api/fleet',
    '/api/denials',
    '/hosts',
    '/hosts/npu-worker/172.16.168.22/metrics',
    '/api/nothing',
  ]) {
    t.match(await get(`${url}${path}`), { status: 401, headers: { 'www-authenticate': /^Bearer / } }, path);
    for (const wrong of ['x', `${token}x`, token.slice(1), ''])
      t.equal((await get(`${url}${path}`, bearer(wrong))).status, 401, `${path} with "${wrong}"`);
    t.equal((await get(`${url}${path}?token=${token}`)).status, 401, 'a token in the query is none');
    t.equal((await get(`${url}${path}`, { cookie: `token=${token}` })).status, 401, 'nor is a cookie');
  }
  t.equal((await get(`${url}/api/fleet`, bearer(token))).status, 200);
  for (const host of ['attacker.example', '127.0.0.1.attacker.example', '127.0.0.1@attacker.example'])
    for (const path of ['/', '/console.js', '/api/fleet'])
      t.equal((await get(`${url}${path}`, { ...bearer(token), host })).status, 421, `${path} of ${host}`);
  t.equal((await get(`${url}/api/fleet`, { ...bearer(token), host: 'localhost:80' })).status, 200);
  for (const fields of [
    { origin: 'http://attacker.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
  ])
    t.equal((await get(`${url}/api/fleet`, { ...bearer(token), ...fields })).status, 403);
  t.match(await get(`${url}/api/fleet`, bearer(token), 'POST'), {
    status: 405,
    headers: { allow: 'GET, HEAD' },
  });
});

t.test('the page may run and load its own files, and nothing else', async (t) => {
  const { url } = await testConsole(t, await demoFleet(t));
  for (const path of ['/', '/console.js', '/console.css', '/icon.svg', '/api/fleet', '/nowhere']) {
    const { headers } = await get(`${url}${path}`);
    const policy = String(headers['content-security-policy']);
    t.match(policy, /^default-src 'none';/, path);
    t.match(policy, /frame-ancestors 'none'/);
    t.notMatch(policy, /unsafe|data:|https?:|\*/);
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
  }
  const files = await consoleFiles();
  const html = files.get('/')?.body ?? '';
  t.notMatch(
    html,
    /<script(?![^>]* src=)|<style|\son\w+=|style=|https?:/,
    'nothing is inline, nothing is loaded from elsewhere',
  );
  const bytes = [...files.values()].reduce((sum, { body }) => sum + gzipSync(body).length, 0);
  t.ok(bytes <= 200_000, `${bytes} bytes compressed`);
});

t.test('Prometheus reads every host with its own token, which is good for nothing else', async (t) => {
  const { url, token } = await testConsole(t, await demoFleet(t));
  const found = JSON.parse((await get(`${url}/hosts`, bearer(testMetricsToken))).text) as {
    targets: string[];
    labels: Record<string, string>;
  }[];
  t.equal(found.length, 6);
  t.strictSame(found[2], {
    targets: [new URL(url).host],
    labels: {
      __metrics_path__: '/hosts/npu-worker/172.16.168.22/metrics',
      service: 'npu-worker',
      host: '172.16.168.22',
    },
  });
  const path = found[2]?.labels.__metrics_path__;
  for (const each of [testMetricsToken, token])
    t.match(await get(`${url}${path}`, bearer(each)), {
      status: 200,
      headers: { 'content-type': /^text\/plain/ },
      text: /^countersign_requests_total\{/m,
    });
  t.equal((await get(`${url}/api/fleet`, bearer(testMetricsToken))).status, 403);
  for (const odd of [
    '/hosts/npu-worker/1.2.3.4/metrics',
    '/hosts/x/y',
    '/hosts/%ff/y/metrics',
    '/hosts//metrics',
  ])
    t.equal((await get(`${url}${odd}`, bearer(testMetricsToken))).status, 404, odd);
  const example = readFileSync(new URL('../../../docs/monitoring/prometheus.yml', import.meta.url), 'utf8');
  t.match(example, /http_sd_configs/, 'and the example configuration does it so');
});

t.test('streams a document as it changes, and answers questions', async (t) => {
  const fleet = await demoFleet(t);
  const { url, token, watch } = await testConsole(t, fleet, 20);
  const stream = await fetch(`${url}/api/denials`, {
    headers: { ...bearer(token), accept: 'text/event-stream' },
  });
  t.match(stream.headers.get('content-type'), 'text/event-stream');
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = '';
  const seen = async (pattern: RegExp) => {
    while (!pattern.test(text)) text += decoder.decode((await reader.read()).value, { stream: true });
  };
  await seen(/^data: \{"denials":.*\n\n/m);
  text = '';
  fleet.pass(10);
  await seen(/missing-signature/);
  await reader.cancel();
  const ask = async (path: string) => JSON.parse((await get(`${url}/api/${path}`, bearer(token))).text);
  t.match(await ask('explain?caller=frontend&method=GET&callee=npu-worker&path=/api/status'), {
    allowed: false,
    nearest: [
      { rule: 'public: GET /api/health' },
      { rule: 'main-backend: GET /api/status', place: /^config\/authorization\.yaml:\d+:\d+$/ },
    ],
  });
  t.match(await ask('explain?caller=x&method=GET&callee=npu-worker&path=nowhere'), { status: 400 });
  t.match(await ask('call?id=nobody-knows-this'), { status: 404 });
  const { denials } = await ask('denials');
  t.match(await ask(`call?id=${denials[0].request_id}`), { request_id: denials[0].request_id });
  t.match(await ask('edge?caller=frontend&callee=npu-worker'), {
    routes: [],
    denied: [{ method: 'GET', path: '/api/status' }],
  });
  while (watch.readers > 0) await new Promise(setImmediate);
  t.equal(watch.readers, 0, 'a reader that left is forgotten');
});

t.test('does not listen beyond loopback', async (t) => {
  const { watch } = await testConsole(t, await demoFleet(t));
  await t.rejects(
    startConsole({
      listen: { host: '0.0.0.0', port: 0 },
      tokens: { console: 'x' },
      page: new Map(),
      watch,
      sources: { readMetrics: async () => undefined },
    }),
    /found 0\.0\.0\.0, expected a loopback address/,
  );
});

async function get(url: string, headers: Record<string, string> = {}, method = 'GET') {
  const { port, pathname, search } = new URL(url);
  return httpCall(Number(port), { target: `${pathname}${search}`, method, headers });
}
