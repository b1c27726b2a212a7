import { spawn } from 'node:child_process';
import { connect as dial } from 'node:net';
import t from 'tap';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from '../attacks/target.ts';

const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const timeouts = 'timeouts: { head: 1s, idle: 1s, connect: 500ms, response: 1s, tunnel_idle: 1s, drain: 2s }';

async function timed<Result>(work: Promise<Result>): Promise<[Result, number]> {
  const since = performance.now();
  return [await work, performance.now() - since];
}

t.test('an app that does not answer', async (t) => {
  let aborted: (() => void) | undefined;
  const gone = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  const port = await rawApp(t, (socket) => {
    socket.resume();
    socket.on('close', () => aborted?.());
  });
  const { inbound } = await startTarget(t, 'enforcing', timeouts, port);
  const [response, ms] = await timed(exchange(t, inbound, health));
  t.equal(response.status, 504);
  t.equal(response.reason, 'upstream-timeout');
  t.ok(ms > 800 && ms < 3_000, `${ms} ms`);
  await gone;
});

t.test('an app that begins to answer and stops', async (t) => {
  const port = await rawApp(t, (socket) =>
    onHead(socket, () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')),
  );
  const { inbound } = await startTarget(t, 'enforcing', timeouts, port);
  const client = await RawClient.connect(t, inbound);
  client.write(health);
  await client.end();
  t.match(client.text, /half$/, 'the connection ends, and not as if that was all');
});

t.test('an app that cannot be connected to', async (t) => {
  const refused = await startTarget(t, 'enforcing', timeouts, 1);
  t.equal((await exchange(t, refused.inbound, health)).status, 502, 'refused at once');

  // A stopped process with a full backlog: the kernel takes no further connection, and says nothing.
  const script = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 },
    function () { console.log(this.address().port) })`;
  const stopped = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => stopped.kill('SIGKILL'));
  const port = Number(await new Promise((resolve) => stopped.stdout.once('data', resolve)));
  stopped.kill('SIGSTOP');
  for (let i = 0; i < 4; i++) {
    const socket = dial({ port, host: '127.0.0.1' }).on('error', () => {});
    t.teardown(() => socket.destroy());
  }
  const { inbound } = await startTarget(t, 'enforcing', timeouts, port);
  const [response, ms] = await timed(exchange(t, inbound, health));
  t.equal(response.status, 502);
  t.ok(ms > 400 && ms < 2_500, `${ms} ms`);
});

t.test('a body that the app does not take', async (t) => {
  const port = await rawApp(t, (socket) => socket.pause());
  const { inbound } = await startTarget(t, 'enforcing', timeouts, port);
  const client = await RawClient.connect(t, inbound);
  client.write('POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 100000000\r\n\r\n');
  const piece = Buffer.alloc(1_000_000);
  const more = () => {
    while (!client.closed && client.socket.write(piece)) {}
  };
  client.socket.on('drain', more);
  more();
  const response = await client.response();
  t.equal(response.reason, 'upstream-timeout', 'it is not the client that is late');
});

t.test('connections without requests end', async (t) => {
  const { inbound } = await startTarget(t, 'enforcing', timeouts);
  const client = await RawClient.connect(t, inbound);
  client.write(health);
  t.equal((await client.response()).status, 200);
  const [text, ms] = await timed(client.end());
  t.equal(text, '');
  t.ok(ms > 800 && ms < 2_500, `${ms} ms`);
});

t.test('tunnels: silence ends them, traffic in one direction keeps them', async (t) => {
  const port = await rawApp(t, (socket) =>
    onHead(socket, (head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      if (!head.includes('busy')) return;
      let ticks = 0;
      const tick = setInterval(() => {
        socket.write('.');
        if (++ticks === 12) clearInterval(tick);
      }, 250);
      socket.on('close', () => clearInterval(tick));
    }),
  );
  const { inbound } = await startTarget(t, 'enforcing', timeouts, port);
  const open = (query: string) =>
    `GET /api/health?${query} HTTP/1.1\r\nHost: npu-worker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const connect = async (query: string) => {
    const client = await RawClient.connect(t, inbound);
    client.write(open(query));
    await client.until((text) => text.includes('\r\n\r\n'));
    return timed(client.end());
  };
  const [[, silent], [text, busy]] = await Promise.all([connect('silent'), connect('busy')]);
  t.ok(silent > 800 && silent < 2_500, `silent: ${silent} ms`);
  t.ok(busy > 3_500, `busy: ${busy} ms`);
  t.match(text, /\.{12}$/);
});

t.test('a connection to the app that it has closed is not used again', async (t) => {
  let connections = 0;
  const port = await rawApp(t, (socket) => {
    connections++;
    onHead(socket, () => socket.end(ok()));
  });
  const { inbound } = await startTarget(t, 'enforcing', '', port);
  for (let i = 1; i <= 5; i++) {
    const response = await exchange(
      t,
      inbound,
      'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 0\r\n\r\n',
    );
    t.equal(response.status, 200);
    t.equal(connections, i);
  }
});
