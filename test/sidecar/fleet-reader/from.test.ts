import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { FromError, readFrom } from '../../../sidecar/fleet-reader/from.ts';
import { gatheredFleet } from '../../support/gathered-fleet.ts';

async function folder(t: { teardown(done: () => unknown): void }): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'from-'));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

t.test('reads a folder of hosts, one host’s folder, and single files', async (t) => {
  const { hosts, npuWorker } = await gatheredFleet(t);
  await mkdir(join(hosts, 'empty'));
  const states = await readFrom([hosts]);
  t.same(
    states.map(({ status }) => status?.service),
    ['main-backend', 'npu-worker'],
  );
  t.match(await readFrom([join(hosts, 'npu-worker')]), [
    { status: npuWorker.status, observed: {}, denials: {} },
  ]);
  t.match(await readFrom([join(hosts, 'npu-worker', 'observed.json')]), [{ observed: { phase: 'logging' } }]);
  t.equal((await readFrom([hosts, join(hosts, 'npu-worker')])).length, 3);
});

t.test('reads the denials in a sidecar’s log, newest first', async (t) => {
  const file = join(await folder(t), 'sidecar.log');
  const line = (request_id: string) =>
    JSON.stringify({
      level: 'warn',
      time: '2026-11-23T10:00:00.000Z',
      event: 'denial',
      request_id,
      direction: 'inbound',
      callee: 'npu-worker',
      method: 'GET',
      path: '/x',
      reason: 'missing-signature',
      detail: 'd',
    });
  await writeFile(file, `${line('1')}\nnot json\n{"event":"start"}\n${line('2')}\n`);
  t.match(await readFrom([file]), [{ denials: { denials: [{ request_id: '2' }, { request_id: '1' }] } }]);
});

t.test('says what is wrong with a source', async (t) => {
  const made = await folder(t);
  const cases: [string, string, RegExp][] = [
    ['empty.json', '', /neither JSON nor a log/],
    ['list.json', '[]', /none of \/status, \/observed and \/denials/],
    ['denials.json', '{"denials":[{"time":"yesterday"}]}', /denials\.json with denials\.0\./],
    ['null.json', 'null', /none of/],
  ];
  for (const [name, text, message] of cases) {
    await writeFile(join(made, name), text);
    await t.rejects(readFrom([join(made, name)]), { name: 'FromError', message });
  }
  await t.rejects(readFrom([join(made, 'nothing')]), { message: /found nothing there/ });
  const empty = join(made, 'empty');
  await mkdir(empty);
  await t.rejects(readFrom([empty]), { message: /a folder without such files/ });
});

t.test('a listener that is no admin listener is named, and no redirect is followed', async (t) => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/moved')) response.writeHead(302, { location: '/status' }).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await t.rejects(readFrom([url]), { message: /found HTTP 404 for \/status/ });
  await t.rejects(readFrom([`${url}/moved`]), { message: /found HTTP 302 for \/status/ });
});

t.test('any file is read or refused, never a fault', async (t) => {
  const file = join(await folder(t), 'any');
  const document = fc.oneof(
    fc.json(),
    fc.string(),
    fc.record({ denials: fc.jsonValue() }).map((value) => JSON.stringify(value)),
    fc.record({ observations: fc.jsonValue(), since: fc.string() }).map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(document, async (text) => {
      await writeFile(file, text);
      try {
        await readFrom([file]);
      } catch (error) {
        if (!(error instanceof FromError)) throw error;
      }
    }),
    { numRuns: 200 },
  );
  t.pass();
});
