import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { build, dist } from '../../tools/build.ts';
import { programs } from '../../tools/programs.ts';
import { httpCall } from '../support/http-call.ts';
import { listeningPorts, sidecarFolder, startBuilt } from '../support/started-sidecar.ts';

t.before(() => build());

/** What ends, stops or continues every process, what has a meaning, and what a processor fault raises. */
const excepted = new Set([
  ...['SIGKILL', 'SIGSTOP', 'SIGCONT', 'SIGTERM', 'SIGINT'],
  ...['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGABRT', 'SIGIOT'],
]);
const signals = Object.keys(constants.signals).filter((name) => !excepted.has(name)) as NodeJS.Signals[];

t.test('no other signal does anything to a sidecar: it opens no port and serves on', async (t) => {
  for (const workers of [1, 2]) {
    const place = await sidecarFolder(t, (files) => ({
      ...files,
      'sidecar.yaml': `${files['sidecar.yaml']}workers: ${workers}\n`,
    }));
    const sidecar = await startBuilt(t, place);
    const before = await listeningPorts(sidecar.child.pid as number);
    t.equal(before.length, 4, 'outbound, a route, inbound, admin');
    for (const signal of signals) sidecar.child.kill(signal);
    for (const signal of signals) {
      sidecar.child.kill(signal);
      t.equal((await httpCall(sidecar.ports.admin, { target: '/status' })).status, 200, signal);
    }
    t.same(await listeningPorts(sidecar.child.pid as number), before);
    t.notMatch(sidecar.output(), /Debugger|inspector/i);
    sidecar.child.kill('SIGTERM');
    t.equal(await sidecar.exited, 0);
  }
});

t.test('SIGUSR1 opens no inspector in any executable, however early it comes', async (t) => {
  for (const { name, execArgv } of programs) {
    t.ok(execArgv.includes('--disable-sigusr1'), name);
    const child = spawn(join(dist, name), ['--help'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('spawn', () => child.kill('SIGUSR1'));
    await once(child, 'close');
    t.notMatch(errors, /Debugger|inspector/i, name);
  }
});
