import { rename, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fleetOf, keyringsOf } from '../../support/keyrings.ts';
import { ok, onHead } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { sealedApp } from '../../support/sealed-app.ts';
import { freePorts, startSidecar, writeFleet } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const matrix = 'services:\n  npu-worker:\n    callers:\n      main-backend: [ "* /**" ]\n';

let folderOfCaller = '';
/** Where the keyring of the last caller lies. */
const keyring = () => join(folderOfCaller, 'main-backend/keyring.json');

/** main-backend's sidecar, calling npu-worker on several hosts, each of which the test plays itself. */
async function callerOf(test: Test, inbound: number, some: readonly string[]) {
  const folder = await tempFolder(test);
  folderOfCaller = folder;
  const [outbound, own, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    { 'npu-worker': { inbound, app: 1 }, 'main-backend': { inbound: own, app: 2 } },
    matrix,
  );
  const fleet = fleetOf({ 'npu-worker': some, 'main-backend': ['127.0.0.1'] });
  await writeFile(
    join(folder, 'fleet.yaml'),
    `services:\n  npu-worker: { hosts: [${some.join(', ')}], inbound: ${inbound}, app: 1 }\n` +
      `  main-backend: { hosts: [127.0.0.1], inbound: ${own}, app: 2 }\n`,
  );
  for (const keyring of keyringsOf(fleet).values()) {
    if (keyring.service !== 'main-backend') continue;
    const file = join(folder, 'main-backend/keyring.json');
    await writeFile(`${file}.new`, JSON.stringify(keyring), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  await startSidecar(test, {
    phase: 'enforcing',
    folder: join(folder, 'main-backend'),
    service: 'main-backend',
    ports: { outbound, inbound: own, admin },
    app: 2,
    further: 'timeouts: { connect: 500ms, response: 5s, drain: 5s }',
  });
  return outbound;
}

const get = 'GET /x HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const post = 'POST /x HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 0\r\n\r\n';
const signatureOf = (head: string) => /^Signature: (.*)\r$/m.exec(head)?.[1];

t.test('a host that refuses connections is set aside, and no call is lost', async (t) => {
  const heads = new Map<string, string[]>(hosts.map((host) => [host, []]));
  const serve = (host: string) => (socket: Socket) =>
    onHead(socket, (head) => {
      heads.get(host)?.push(head);
      socket.write(ok(host));
    });
  const port = await sealedApp(t, keyring, serve('127.0.0.1'));
  await sealedApp(t, keyring, serve('127.0.0.2'), { host: '127.0.0.2', port });
  const outbound = await callerOf(t, port, hosts);
  const answers = [];
  for (let i = 0; i < 60; i++) answers.push(await exchange(t, outbound, i % 2 === 0 ? get : post));
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200], 'nothing listens on 127.0.0.3');
  t.ok(
    heads.get('127.0.0.1')!.length > 5 && heads.get('127.0.0.2')!.length > 5,
    'the others share the calls',
  );
  const all = [...heads.values()].flat();
  t.equal(new Set(all.map(signatureOf)).size, 60, 'each call is signed anew');
  // Now it comes up: within its back-off it is asked again.
  await sealedApp(t, keyring, serve('127.0.0.3'), { host: '127.0.0.3', port });
  const until = Date.now() + 10_000;
  while (heads.get('127.0.0.3')!.length === 0 && Date.now() < until) await exchange(t, outbound, get);
  t.ok(heads.get('127.0.0.3')!.length > 0, 'a host that is back is used again');
});

t.test('no host at all', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const outbound = await callerOf(t, port, hosts);
  const response = await exchange(t, outbound, get);
  t.equal(response.status, 502);
  t.match(response.body, /127\.0\.0\.3/, 'the answer names the hosts');
});

t.test('the less busy of two hosts gets the call', async (t) => {
  const waiting: Socket[] = [];
  const port = await sealedApp(t, keyring, (socket) => onHead(socket, () => waiting.push(socket)));
  let served = 0;
  const serve = (socket: Socket) =>
    onHead(socket, () => {
      served++;
      socket.write(ok());
    });
  await sealedApp(t, keyring, serve, { host: '127.0.0.2', port });
  const outbound = await callerOf(t, port, hosts.slice(0, 2));
  let stuck = 0;
  while (waiting.length === 0) {
    const client = await RawClient.connect(t, outbound);
    client.write(get);
    await Promise.race([
      client.until((text) => text !== ''),
      new Promise((resolve) => setTimeout(resolve, 100)),
    ]);
    stuck++;
  }
  const before = served;
  for (let i = 0; i < 30; i++) t.equal((await exchange(t, outbound, get)).status, 200);
  t.equal(served - before, 30, `the host with a call under way is passed over (after ${stuck})`);
  t.equal(waiting.length, 1);
});

t.test('a call that got no answer goes out once more with the same signature, even a POST', async (t) => {
  const heads: string[] = [];
  let lost = true;
  const port = await sealedApp(t, keyring, (socket) =>
    onHead(socket, (head) => {
      heads.push(head);
      if (heads.length > 1 && lost) {
        lost = false;
        socket.destroy();
      } else socket.write(ok());
    }),
  );
  const outbound = await callerOf(t, port, hosts.slice(0, 1));
  t.equal((await exchange(t, outbound, post)).status, 200);
  t.equal((await exchange(t, outbound, post)).status, 200);
  t.equal(heads.length, 3);
  t.equal(heads[1], heads[2], 'byte for byte the same');
  t.not(signatureOf(heads[0]!), signatureOf(heads[1]!));
});

t.test('a call is sent once more, not twice', async (t) => {
  let seen = 0;
  const port = await sealedApp(t, keyring, (socket) =>
    onHead(socket, () => {
      seen++;
      socket.destroy();
    }),
  );
  const outbound = await callerOf(t, port, hosts.slice(0, 1));
  t.equal((await exchange(t, outbound, post)).status, 502);
  t.equal(seen, 2);
});

t.test('a host that goes away between a call and its second sending gets no stand-in', async (t) => {
  const seen: string[] = [];
  const at = (host: string) => (socket: Socket) =>
    onHead(socket, () => {
      seen.push(host);
      socket.write(ok());
    });
  // The first host takes one call, and is gone with its listener before it answers.
  const port = await sealedApp(t, keyring, (socket, server) =>
    onHead(socket, () => {
      seen.push('gone');
      server.close();
      socket.destroy();
    }),
  );
  await sealedApp(t, keyring, at('127.0.0.2'), { host: '127.0.0.2', port });
  const outbound = await callerOf(t, port, hosts.slice(0, 2));
  let status = 200;
  while (!seen.includes('gone')) ({ status } = await exchange(t, outbound, post));
  t.equal(status, 502, 'the call may have been carried out');
  t.equal(seen.at(-1), 'gone', 'no other host got it');
});

t.test('"replayed" in answer to the second sending is a 502', async (t) => {
  let seen = 0;
  const port = await sealedApp(t, keyring, (socket) =>
    onHead(socket, () => {
      seen++;
      if (seen === 1) socket.destroy();
      else
        socket.write(
          'HTTP/1.1 401 Unauthorized\r\nX-Service-Refusal: replayed\r\nContent-Length: 2\r\n\r\n{}',
        );
    }),
  );
  const outbound = await callerOf(t, port, hosts.slice(0, 1));
  const response = await exchange(t, outbound, post);
  t.equal(response.status, 502);
  t.match(response.body, /may have been carried out/);
});

t.test('a body that was streamed is sent again from a copy, up to body_buffer', async (t) => {
  const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`;
  for (const [bytes, status, connections] of [
    [3, 200, 2],
    [100_000, 200, 2],
    [1_100_000, 502, 1],
  ] as const) {
    const bodies: number[] = [];
    const port = await sealedApp(t, keyring, (socket) => {
      const index = bodies.push(0) - 1;
      let text = '';
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('latin1');
        bodies[index] = text.length - text.indexOf('\r\n\r\n') - 4;
        if (!text.endsWith('0\r\n\r\n')) return;
        if (index === 0) socket.destroy();
        else socket.write(ok());
      });
    });
    const outbound = await callerOf(t, port, hosts.slice(0, 1));
    const body = `POST /x HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(bytes)}0\r\n\r\n`;
    t.equal((await exchange(t, outbound, body)).status, status, `${bytes} bytes`);
    t.equal(bodies.length, connections);
    if (connections === 2) t.equal(bodies[1], bodies[0], 'as it was, with its framing');
  }
});

t.test('a refusal that comes in two pieces is passed on as it is', async (t) => {
  const problem = '{"reason":"signature-mismatch","filler":"'.padEnd(400, 'x');
  const port = await sealedApp(t, keyring, (socket) =>
    onHead(socket, () => {
      socket.setNoDelay(true);
      socket.write('HTTP/1.1 401 Unauthorized\r\nX-Service-Refusal: signature-mis');
      setTimeout(() => socket.write(`match\r\nContent-Length: ${problem.length}\r\n\r\n${problem}`), 50);
    }),
  );
  const outbound = await callerOf(t, port, hosts.slice(0, 1));
  t.equal((await exchange(t, outbound, get)).body, problem);
});

t.test('a refusal with a reason that nobody knows is an answer like any other', async (t) => {
  const port = await sealedApp(t, keyring, (socket) =>
    onHead(socket, () => socket.write(ok('mine', 'X-Service-Refusal: constructor\r\n'))),
  );
  const outbound = await callerOf(t, port, hosts.slice(0, 1));
  t.equal((await exchange(t, outbound, get)).body, 'mine');
  t.equal((await exchange(t, outbound, get)).body, 'mine');
});
