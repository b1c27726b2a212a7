import t from 'tap';
import { choose, parseWanted } from '../../../sidecar/swap/choose.ts';
import type { Choice, Host } from '../../../sidecar/swap/host.ts';
import { wayBack } from '../../../sidecar/swap/host.ts';

function host(installed: readonly Choice[], changes: Partial<Host> = {}): Host {
  return {
    installed,
    sockets: { listen: true, boot: true },
    sidecars: [],
    guards: [],
    serving: undefined,
    admin: '127.0.0.1:15000',
    current: undefined,
    previous: undefined,
    ...changes,
  };
}

function unit(choice: Choice) {
  const name = `countersign-${choice.phase}@${choice.version}.service`;
  return { name, choice, state: 'running', boots: true, pid: 1, atLock: true } as const;
}

const logging = (version: string): Choice => ({ phase: 'logging', version });
const enforcing = (version: string): Choice => ({ phase: 'enforcing', version });

t.test('reads what a swap may be asked for, and nothing else', async (t) => {
  t.same(parseWanted('logging'), { kind: 'phase', phase: 'logging', version: undefined });
  t.same(parseWanted('enforcing@0.2.0-rc.1'), { kind: 'phase', phase: 'enforcing', version: '0.2.0-rc.1' });
  t.same(parseWanted('previous'), { kind: 'previous' });
  t.same(parseWanted('none'), { kind: 'none' });
  for (const text of ['', 'log', 'logging@', 'logging@../x', 'none@1', 'enforcing@-x'])
    t.equal(parseWanted(text), undefined, text);
});

t.test('a phase without a version means the version that serves, then the newest', async (t) => {
  const wanted = parseWanted('logging')!;
  const installed = [logging('0.9.0'), logging('0.10.0')];
  t.same(choose(wanted, host(installed, { current: '0.9.0' })), logging('0.9.0'));
  t.same(choose(wanted, host(installed)), logging('0.10.0'));
});

t.test('previous keeps the phase, and needs a version that served before', async (t) => {
  const wanted = parseWanted('previous')!;
  const sidecars = [unit(enforcing('0.3.0'))];
  const at = { current: '0.3.0', sidecars };
  t.same(choose(wanted, host([], { ...at, previous: '0.2.0' })), enforcing('0.2.0'));
  t.throws(() => choose(wanted, host([], at)), { message: /no version that served before/ });
  t.throws(() => choose(wanted, host([], { previous: '0.2.0' })), { message: /no sidecar that serves/ });
});

t.test('the way back from enforcing is logging of the same version', async (t) => {
  const sidecars = [unit(enforcing('0.3.0'))];
  t.same(wayBack(host([logging('0.3.0')], { sidecars })), logging('0.3.0'));
  t.equal(wayBack(host([logging('0.2.0')], { sidecars })), undefined, 'another version does not count');
  t.equal(wayBack(host([], { sidecars: [unit(logging('0.3.0'))] })), 'none');
});
