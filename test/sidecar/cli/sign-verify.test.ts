import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { readCapturedRequest } from '../../../sidecar/cli/captured-request.ts';
import { type Call, signedHeaders } from '../../../sidecar/cli/sign.ts';
import { verifyCaptured } from '../../../sidecar/cli/verify.ts';
import { KeySource } from '../../../sidecar/reload/key-source.ts';
import { fleetOf, keyringsOf } from '../../support/keyrings.ts';
import { runCountersign } from '../../support/run-countersign.ts';

const run = promisify(execFile);
const fleet = fleetOf({
  'main-backend': ['127.0.0.1'],
  'npu-worker': ['127.0.0.2', '127.0.0.3'],
  'ai-stack': ['127.0.0.3'],
});

async function keyringFiles(t: Test): Promise<{ folder: string; of: (place: string) => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-sign-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [place, keyring] of keyringsOf(fleet))
    await writeFile(join(folder, `${place}.json`), JSON.stringify(keyring), { mode: 0o600 });
  return { folder, of: (place) => join(folder, `${place}.json`) };
}

/** A server that hands out each request as it came over the wire. */
async function recorder(t: Test, host: string): Promise<{ port: number; next: () => Promise<string> }> {
  const arrived: ((text: string) => void)[] = [];
  const server = createServer(async (request, response) => {
    const { method, url, rawHeaders } = request;
    const lines: string[] = [];
    for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    const body = (await buffer(request)).toString('latin1');
    response.end();
    arrived.shift()?.(`${method} ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.teardown(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    next: () => new Promise((resolve) => arrived.push(resolve)),
  };
}

async function sign(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCountersign(['sign', ...args]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** Runs curl with header lines on its standard input. */
async function curl(args: readonly string[], headers: string): Promise<void> {
  const child = spawn('curl', ['-sS', '-H', '@-', ...args], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(headers);
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`curl exited with ${code}`);
}

t.test('curl sends what sign printed, and verify finds it genuine', async (t) => {
  const { folder, of } = await keyringFiles(t);
  await run('curl', ['--version']);
  const body = join(folder, 'job.json');
  await writeFile(body, '{"job": 7}\n');
  const { port, next } = await recorder(t, '127.0.0.2');
  const url = `http://127.0.0.2:${port}/api/process?x=%2F&y`;
  const calls: [string[], string[]][] = [
    [['GET', url], []],
    [
      ['POST', url, '--data-file', body, '-H', 'Content-Type: application/json', '-H', 'Cookie: a=b'],
      ['--data-binary', `@${body}`],
    ],
    // Without a type curl would send one that is not signed.
    [
      ['POST', url, '--data-file', body],
      ['--data-binary', `@${body}`],
    ],
    [
      ['DELETE', `http://127.0.0.2:${port}`],
      ['-X', 'DELETE'],
    ],
  ];
  for (const [signArgs, curlArgs] of calls) {
    const headers = await sign([...signArgs, '--keyring', of('main-backend@127.0.0.1')]);
    const arrived = next();
    await curl([...curlArgs, signArgs[1] as string], headers);
    const input = await arrived;
    const answer = await runCountersign(['verify', '--keyring', of('npu-worker@127.0.0.2')], { input });
    t.match(
      answer,
      { code: 0, stdout: /^genuine: signed by main-backend with main-backend\/1/ },
      answer.stdout,
    );

    const elsewhere = await runCountersign(['verify', '--keyring', of('npu-worker@127.0.0.3')], { input });
    t.match(elsewhere, { code: 1, stdout: /^not genuine: signature-mismatch/ }, 'not at another host');
  }
});

async function captured(t: Test): Promise<{ request: string; keyring: string }> {
  const { folder, of } = await keyringFiles(t);
  await writeFile(join(folder, 'body'), 'twelve bytes');
  const headers = await sign([
    'POST',
    'http://ai-stack/v1/chat?n=1',
    '--data-file',
    join(folder, 'body'),
    '--keyring',
    of('main-backend@127.0.0.1'),
  ]);
  const request = `POST /v1/chat?n=1 HTTP/1.1\n${headers}Content-Length: 12\n\ntwelve bytes`;
  return { request, keyring: of('ai-stack@127.0.0.3') };
}

t.test('verify says what is wrong with a request that was changed', async (t) => {
  const { request, keyring } = await captured(t);
  const { current } = await KeySource.open(keyring);
  const verify = async (input: string, at?: string) =>
    verifyCaptured(await readCapturedRequest(Buffer.from(input)), current, {
      port: '15006',
      ...(at !== undefined && { at }),
    });
  t.match(await verify(request), { genuine: true });
  t.match(await verify(request.replaceAll('\n', '\r\n')), { genuine: true });
  const changed: [string, string][] = [
    [request.replace('POST', 'PUT'), 'signature-mismatch'],
    [request.replace('n=1', 'n=2'), 'signature-mismatch'],
    [request.replace('/v1/chat', '/v1/chat/'), 'signature-mismatch'],
    [request.replace('twelve bytes', 'TWELVE bytes'), 'digest-mismatch'],
    [request.replace('Host: ai-stack', 'Host: npu-worker'), 'wrong-audience'],
    [request.replace('X-Service-ID: main-backend', 'X-Service-ID: npu-worker'), 'caller-mismatch'],
    [request.replace('keyid="main-backend/1"', 'keyid="main-backend/9"'), 'unknown-key'],
    [request.replace('"@query" ', ''), 'insufficient-coverage'],
    [request.replace(/^Signature-Input.*\n/m, ''), 'missing-signature'],
    [request.replace('Signature: svc=:', 'Signature: svc='), 'malformed-signature'],
    [request.replace('\nContent-Length', '\nCookie: admin=1\nContent-Length'), 'insufficient-coverage'],
  ];
  for (const [input, reason] of changed) t.match(await verify(input), { genuine: false, reason }, reason);
  t.match(await verify(request, '2020-01-01T00:00:00Z'), { genuine: false, reason: 'outside-window' });
  t.match(await verify(request, 'created'), { genuine: true });

  const input = request.replace('n=1', 'n=2');
  const { code, stdout } = await runCountersign(['verify', '--keyring', keyring, '--json'], { input });
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { genuine: false, reason: 'signature-mismatch', claimed: 'main-backend' });
});

t.test('verify refuses what is no request', async (t) => {
  const { request, keyring } = await captured(t);
  for (const input of [
    '',
    'GET / HTTP/1.1\r\nHost',
    request.replace('twelve bytes', 'short'),
    request.replace('Content-Length: 12', 'Content-Length: twelve'),
    `${request.slice(0, 20)}\0`,
  ])
    await t.rejects(readCapturedRequest(Buffer.from(input)), { code: 'wrong-usage' }, JSON.stringify(input));
  const ran = await runCountersign(['verify', '--keyring', keyring], { input: 'hello' });
  t.match(ran, { code: 64, stderr: /the request: found/, stdout: '' });
});

t.test('sign refuses a call that it cannot sign, and says why', async (t) => {
  const { of } = await keyringFiles(t);
  const { current } = await KeySource.open(of('main-backend@127.0.0.1'));
  const sign = (call: Call) => signedHeaders(current, call, Date.now());
  const get = { method: 'GET', url: 'http://ai-stack/' };
  const refused: [Call, RegExp][] = [
    [
      { ...get, url: 'http://npu-worker/' },
      /several hosts, expected --host with one of 127\.0\.0\.2, 127\.0\.0\.3/,
    ],
    [{ ...get, url: 'http://npu-worker/', host: '127.0.0.9' }, /found 127\.0\.0\.9, expected one of/],
    [{ ...get, url: 'http://127.0.0.3:15006/' }, /127\.0\.0\.3 of npu-worker, ai-stack, expected --callee/],
    [{ ...get, url: 'http://nobody/' }, /found nobody, expected a service that main-backend has keys for/],
    [{ ...get, url: 'https://ai-stack/' }, /expected http:/],
    [{ ...get, url: 'http://ai-stack/a b' }, /percent-encoded/],
    [{ ...get, method: 'GE T' }, /method: found/],
    [{ ...get, header: ['x-service_id: frontend'] }, /makes itself/],
    [{ ...get, header: ['Host: frontend'] }, /makes itself/],
    [{ ...get, header: ['A: b\r\nX-Service-ID: frontend'] }, /expected Name: value/],
  ];
  for (const [call, message] of refused) t.throws(() => sign(call), { code: 'wrong-usage', message });
  t.match(sign({ ...get, url: 'http://127.0.0.3:15006/', callee: 'ai-stack' })[0], ['Host', 'ai-stack']);
  t.match(sign({ ...get, url: 'http://npu-worker/', host: '127.0.0.3' })[0], ['Host', 'npu-worker']);

  const keyring = ['--keyring', of('main-backend@127.0.0.1')];
  const ran = await runCountersign([
    'sign',
    'GET',
    'http://ai-stack/',
    '--data-file',
    '/nowhere',
    ...keyring,
  ]);
  t.match(ran, { code: 64, stdout: '', stderr: /--data-file: \/nowhere: found ENOENT/ });
});
