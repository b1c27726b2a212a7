import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import t from 'tap';

const script = new URL('../../support/block-event-loop.ts', import.meta.url).pathname;

interface Line {
  readonly msg: string;
  readonly level?: number;
  readonly late_ms?: number;
  readonly blocked_ms?: number;
  readonly stack?: string[];
  readonly metrics?: string;
}

/** Runs the process; what it and its watcher wrote, in order. `each` may end it early. */
async function blocking(
  way: string,
  each: (line: Line, kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  const child = spawn(process.execPath, [script, way], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    each(line, (signal) => child.kill(signal));
  }
  return lines;
}

const metric = (lines: readonly Line[], name: string) =>
  Number(new RegExp(`^${name} (.*)$`, 'm').exec(lines.at(-1)?.metrics ?? '')?.[1]);

t.test('a callback that blocks is named with its stack while it still blocks', async (t) => {
  const lines = await blocking('loop');
  t.strictSame(
    lines.map(({ msg }) => msg),
    ['begin', 'event loop blocked', 'end', 'event loop free again', 'metrics'],
  );
  const [, blocked, , free] = lines as [Line, Line, Line, Line];
  t.match(blocked.stack?.[0], /^countPrimesForEver \(file:.*\/block-event-loop\.ts:\d+:\d+\)$/);
  t.ok(
    blocked.stack?.some((frame) => frame.startsWith('loop ')),
    'with its callers',
  );
  t.ok(blocked.late_ms! >= 100 && blocked.late_ms! < 500, `reported after ${blocked.late_ms} ms`);
  t.equal(blocked.level, 40);
  t.ok(free.blocked_ms! >= 590, `${free.blocked_ms} ms`);
  t.equal(metric(lines, 'countersign_core_event_loop_blocked_total'), 1);
  t.ok(metric(lines, 'countersign_core_event_loop_blocked_seconds_total') >= 0.59);
  t.ok(metric(lines, 'nodejs_eventloop_lag_max_seconds') >= 0.55);
  t.ok(metric(lines, 'nodejs_eventloop_lag_p50_seconds') < 0.1);
});

t.test('a callback that never returns is named too', async (t) => {
  const lines = await blocking('endless', (line, kill) => {
    if (line.msg === 'event loop blocked') kill('SIGKILL');
  });
  t.match(lines.at(-1)?.stack?.[0], /^countPrimesForEver /);
});

t.test('a native call that blocks is named by its caller', async (t) => {
  const lines = await blocking('native');
  t.match(lines.find(({ msg }) => msg === 'event loop blocked')?.stack?.[0], /^waitForNobody /);
});

t.test('a loop that is idle, or busy for less than the threshold, is not reported', async (t) => {
  for (const way of ['idle', 'short']) {
    const lines = await blocking(way);
    t.strictSame(
      lines.map(({ msg }) => msg),
      ['begin', 'end', 'metrics'],
      way,
    );
    t.equal(metric(lines, 'countersign_core_event_loop_blocked_total'), 0, way);
  }
});

t.test('a process that was stopped as a whole blames no callback', async (t) => {
  const lines = await blocking('idle', ({ msg }, kill) => {
    if (msg !== 'begin') return;
    kill('SIGSTOP');
    setTimeout(() => kill('SIGCONT'), 400);
  });
  t.notOk(lines.some(({ msg }) => msg === 'event loop blocked'));
});
