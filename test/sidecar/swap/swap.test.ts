import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { choose, parseWanted, type Wanted } from '../../../sidecar/swap/choose.ts';
import { wayBack } from '../../../sidecar/swap/host.ts';
import { readHost } from '../../../sidecar/swap/read-host.ts';
import { swap } from '../../../sidecar/swap/swap.ts';
import { type FakeHost, fakeHost } from '../../support/fake-systemd.ts';

const program = fileURLToPath(new URL('../../support/swap-process.ts', import.meta.url));

function swapTo(host: FakeHost, target: string): Promise<boolean> {
  const wanted = parseWanted(target) as Wanted;
  return swap((found) => choose(wanted, found), { layout: host.layout, say: () => {} });
}

/** What serves after a swap, in one line. */
async function outcome(host: FakeHost): Promise<string> {
  const { serving, sockets, current } = await readHost(host.layout);
  const name = serving === undefined ? 'none' : `${serving.phase}@${serving.version}`;
  return `${name} serves, ${(await host.boots()).join(' ')} boots, current ${current}, sockets ${sockets.listen}`;
}

t.test('starts the new sidecar before it stops the old one, and enables it last', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await host.link('current', '0.2.0');
  t.equal(await swapTo(host, 'logging'), true);
  const before = (await host.calls()).length;
  t.equal(await swapTo(host, 'enforcing'), true);
  t.same((await host.calls()).slice(before), [
    'start countersign-enforcing@0.2.0.service',
    'stop countersign-logging@0.2.0.service',
    'enable countersign-enforcing@0.2.0.service',
    'disable countersign-logging@0.2.0.service',
    'enable countersign-guard@0.2.0.service',
    'start countersign-guard@0.2.0.service',
  ]);
  t.equal(await swapTo(host, 'enforcing'), false, 'a second swap changes nothing');
  t.equal((await host.calls()).length, before + 6);
});

t.test(
  'another version serves in the same way, with its own guard, and `previous` goes back once',
  async (t) => {
    const host = await fakeHost(t, ['0.2.0', '0.3.0']);
    await swapTo(host, 'logging@0.2.0');
    await swapTo(host, 'enforcing');
    t.equal(await swapTo(host, 'enforcing@0.3.0'), true);
    t.equal(await host.link('current'), '0.3.0');
    t.equal(await host.link('previous'), '0.2.0');
    t.same(await host.boots(), ['countersign-enforcing@0.3.0.service', 'countersign-guard@0.3.0.service']);
    t.equal(await host.state('countersign-guard@0.2.0.service'), 'inactive');
    t.equal(await swapTo(host, 'previous'), true);
    t.match(await outcome(host), /^enforcing@0\.2\.0 serves/);
    t.equal(await swapTo(host, 'previous'), false, 'a second one has nothing to do');
  },
);

t.test('a version stays when the phase changes', async (t) => {
  const host = await fakeHost(t, ['0.2.0', '0.3.0']);
  await swapTo(host, 'enforcing@0.2.0');
  await swapTo(host, 'logging');
  t.match(await outcome(host), /^logging@0\.2\.0 serves/);
});

t.test('a sidecar that does not start leaves the old one serving', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await swapTo(host, 'logging');
  const before = await outcome(host);
  await host.breakUnit('countersign-enforcing@0.2.0.service');
  await t.rejects(swapTo(host, 'enforcing'), { name: 'SwapError', message: /countersign-enforcing@0\.2\.0/ });
  t.equal(await outcome(host), before);
});

t.test('a configuration that the target refuses stops the swap before anything changes', async (t) => {
  const host = await fakeHost(t, ['0.2.0', '0.3.0']);
  await swapTo(host, 'logging@0.2.0');
  const calls = await host.calls();
  await writeFile(
    join(host.layout.versions, '0.3.0/countersign'),
    '#!/bin/sh\necho "line 3: unknown key" >&2; exit 78\n',
  );
  await t.rejects(swapTo(host, 'logging@0.3.0'), { message: /line 3: unknown key/ });
  t.same(await host.calls(), calls);
});

t.test('enforcing needs the logging sidecar of the same version as its way back', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await swapTo(host, 'enforcing');
  t.same(wayBack(await readHost(host.layout)), { phase: 'logging', version: '0.2.0' });
  await swapTo(host, 'none');
  t.equal(wayBack(await readHost(host.layout)), 'none');
  await rm(join(host.layout.versions, '0.2.0/countersign-logging'));
  await t.rejects(swapTo(host, 'enforcing'), { message: /way back/ });
  t.match(await outcome(host), /^none serves/);
});

t.test('none stops everything and closes the sockets', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await swapTo(host, 'enforcing');
  t.equal(await swapTo(host, 'none'), true);
  t.match(await outcome(host), /^none serves, {2}boots, current 0\.2\.0, sockets false/);
  t.equal(await swapTo(host, 'none'), false);
});

t.test('a swap that is killed at any step is completed by the next one', async (t) => {
  for (const [from, to] of [
    ['none', 'logging'],
    ['logging', 'enforcing'],
    ['enforcing', 'logging'],
    ['enforcing', 'none'],
    ['enforcing@0.1.9', 'enforcing@0.2.0'],
  ] as const) {
    const whole = await fakeHost(t, ['0.1.9', '0.2.0']);
    await whole.link('current', '0.2.0');
    await swapTo(whole, from);
    await swapTo(whole, to);
    const expected = await outcome(whole);
    for (let n = 1; ; n += 1) {
      const host = await fakeHost(t, ['0.1.9', '0.2.0']);
      await host.link('current', '0.2.0');
      await swapTo(host, from);
      await host.killAfter(n);
      const killed = await runSwap(host, to);
      await host.killAfter(0);
      if (killed !== 'killed') {
        t.ok(n > 1, `${from} to ${to}: has ${n - 1} steps`);
        break;
      }
      await swapTo(host, to);
      t.equal(await outcome(host), expected, `${from} to ${to}, killed after change ${n}`);
    }
  }
});

async function runSwap(host: FakeHost, target: string): Promise<'killed' | string> {
  const child = spawn(process.execPath, [program, JSON.stringify(host.layout), target], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const said = text(child.stdout);
  const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal === 'SIGKILL' ? 'killed' : said;
}
