import { join } from 'node:path';
import t from 'tap';
import { topLines } from '../../../sidecar/cli/top-text.ts';
import type { HostRow } from '../../../sidecar/fleet-view/hosts.ts';
import { dist } from '../../../tools/build.ts';
import { callRecord, deniedRecord } from '../../support/call-record.ts';
import { adminThatSaw } from '../../support/observed-fleet.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { PseudoTerminal } from '../../support/terminal.ts';

const traffic = {
  calls: 1,
  per_second: 2,
  success_rate: 1,
  denied: 0,
  denied_per_second: 0,
  p99_seconds: 0.1,
};
const row = (changes: Partial<HostRow> = {}): HostRow => ({
  service: 'npu-worker',
  host: '172.16.168.22',
  health: 'ready',
  phase: 'logging',
  app: 'up',
  inbound: traffic,
  sealed_share: 1,
  ...changes,
});
const taken_at = '2026-11-25T12:00:00.000Z';

t.test('fits 80×24 whatever the names, and shows what is wrong when there is no room for all', async (t) => {
  const hosts = Array.from({ length: 50 }, (_, n) => row({ service: `service-${n}-${'x'.repeat(60)}` }));
  hosts[40] = row({ service: 'down', app: 'down' });
  hosts[41] = row({ service: 'gone', health: 'unreachable', problem: 'connect \x1b[2JECONNREFUSED' });
  hosts[42] = row({ service: 'slow', app: 'slow' });
  const lines = topLines({ taken_at, hosts }, { columns: 80, rows: 24, colour: false });
  t.ok(lines.length <= 24, String(lines.length));
  for (const line of lines) t.ok(line.length <= 80, line);
  t.match(lines[0], /^12:00:00Z {2}50 hosts: 50 logging, 100 calls\/s; down 172\.16\.168\.22: app down, an/);
  t.match(lines[3], /^down .* DOWN /);
  t.match(lines[4], /^gone .* GONE /);
  t.match(lines[5], /^slow .* slow /);
  t.equal(lines.at(-1), '… and 30 more hosts');
  t.match(lines[6], /172\.16\.168\.22 logging +up/, 'the address is whole');
  t.notOk(lines.join('\n').includes('\x1b'));
});

t.test('colours what is wrong, and only that', async (t) => {
  const page = { columns: 80, rows: 24, colour: true };
  const [, , , good, bad] = topLines({ taken_at, hosts: [row(), row({ app: 'down' })] }, page);
  t.notOk(good?.includes('\x1b'));
  t.ok(bad?.startsWith('\x1b[31m'));
});

t.test('without a terminal it prints one picture, or JSON', async (t) => {
  const { url } = await adminThatSaw(t, [callRecord()]);
  const plain = await runCountersign(['top', '--from', url, '--every', '0.2']);
  t.equal(plain.code, 0, plain.stderr);
  t.match(
    plain.stdout,
    /^\S+Z {2}1 hosts: 1 logging, .*\n\nSERVICE +HOST +PHASE .*\nnpu-worker +172\.16\.168\.22 +logging /,
  );
  t.notOk(plain.stdout.includes('\x1b'));
  const json = await runCountersign([
    'top',
    '--from',
    url,
    '--from',
    'http://127.0.0.1:1',
    '--every',
    '0.2',
    '--json',
  ]);
  t.match(JSON.parse(json.stdout).hosts, [
    { service: 'npu-worker', health: 'ready' },
    { service: 'http://127.0.0.1:1', health: 'unreachable', problem: 'no answer (ECONNREFUSED)' },
  ]);
  t.match(await runCountersign(['top', '--every', '0']), { code: 64 });
});

t.test('in a terminal it lives on the alternate screen, and gives the terminal back', async (t) => {
  const { url, telemetry } = await adminThatSaw(t, []);
  const top = join(dist, 'countersign');
  await runCountersign(['version']);
  const terminal = new PseudoTerminal(t, `${top} top --from ${url} --every 0.3`);
  await terminal.until(() => terminal.rows.some((line) => line.startsWith('npu-worker')));
  t.ok(terminal.text.includes('\x1b[?1049h'));
  t.ok(terminal.rows.length <= 24);
  telemetry.record(deniedRecord());
  await terminal.until(() =>
    /\b3\.3\b|[1-9]/.test(/logging, (\S+) calls/.exec(terminal.rows[0] ?? '')?.[1] ?? ''),
  );
  await terminal.resize(10, 60);
  await terminal.until(() => terminal.text.includes('\x1b[2J') && terminal.rows.length === 10);
  t.ok(terminal.rows.every((line) => line.length <= 60));
  terminal.press('q');
  await terminal.closed;
  const after = terminal.text.slice(terminal.text.lastIndexOf('\x1b[?1049l'));
  t.match(after, /exited 0/);
  t.match(after, /[^-]icanon/, 'the keyboard is as it was');
});

t.test('a signal gives the terminal back too; NO_COLOR is heeded', async (t) => {
  const { url } = await adminThatSaw(t, []);
  const terminal = new PseudoTerminal(t, `${join(dist, 'countersign')} top --from ${url}`, { NO_COLOR: '1' });
  await terminal.until(() => terminal.rows.some((line) => line.startsWith('npu-worker')));
  t.notOk(
    terminal.text.split('\x1b[').some((piece) => /^[1-9]\d?m/.test(piece)),
    'no colour',
  );
  process.kill(terminal.pid, 'SIGTERM');
  await terminal.closed;
  const after = terminal.text.slice(terminal.text.lastIndexOf('\x1b[?1049l'));
  t.match(after, /exited 0/);
  t.match(after, /[^-]icanon/);
});
