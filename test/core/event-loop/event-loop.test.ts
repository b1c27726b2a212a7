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

/** Runs the process until its metrics come, which is when a line has come that satisfies `until`; what it and its watcher wrote, in order. */
async function blocking(
  way: string,
  thresholdMs: number,
  until: (line: Line) => boolean,
  each: (line: Line, kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  const child = spawn(process.execPath, [script, way, String(thresholdMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if (until(line)) child.stdin.end('metrics\n');
    each(line, (signal) => child.kill(signal));
  }
  return lines;
}

const ended = ({ msg }: Line) => msg === 'end';

const metric = (lines: readonly Line[], name: string) =>
  Number(new RegExp(`^${name} (.*)$`, 'm').exec(lines.find(({ metrics }) => metrics)?.metrics ?? '')?.[1]);

t.test('a callback that blocks is named with its stack while it still blocks', async (t) => {
  const lines = await blocking('loop', 100, ({ blocked_ms }) => Number(blocked_ms) >= 1490);
  const messages = lines.map(({ msg }) => msg);
  const blocked = lines.find(({ stack }) => stack?.[0]?.startsWith('countPrimesForEver '));
  const free = lines[messages.lastIndexOf('event loop free again')];
  t.ok(
    blocked !== undefined && lines.indexOf(blocked) < messages.indexOf('end'),
    'in the log before it ended',
  );
  t.match(blocked?.stack?.[0], /^countPrimesForEver \(file:.*\/block-event-loop\.ts:\d+:\d+\)$/);
  t.ok(
    blocked?.stack?.some((frame) => frame.startsWith('loop ')),
    'with its callers',
  );
  t.equal(blocked?.level, 40);
  t.ok(Number(blocked?.late_ms) >= 100, `reported after ${blocked?.late_ms} ms`);
  t.ok(Number(free?.blocked_ms) >= 1490, `${free?.blocked_ms} ms`);
  t.ok(metric(lines, 'countersign_core_event_loop_blocked_total') >= 1);
  t.ok(metric(lines, 'countersign_core_event_loop_blocked_seconds_total') >= 1.49);
  t.ok(metric(lines, 'nodejs_eventloop_lag_max_seconds') >= 1.4);
});

t.test('a callback that never returns is named too', async (t) => {
  const lines = await blocking('endless', 100, ended, (line, kill) => {
    if (line.stack?.[0]?.startsWith('countPrimesForEver ')) kill('SIGKILL');
  });
  t.equal(lines.at(-1)?.msg, 'event loop blocked');
});

t.test('a native call that blocks is named by its caller', async (t) => {
  const lines = await blocking('native', 100, ended, ({ stack }, kill) => {
    if (stack?.[0]?.startsWith('waitForNobody ')) kill('SIGKILL');
  });
  t.equal(lines.at(-1)?.msg, 'event loop blocked');
});

t.test('a loop that is idle, or busy for less than the threshold, is not reported', async (t) => {
  for (const way of ['idle', 'short']) {
    const lines = await blocking(way, 1000, ended);
    t.strictSame(
      lines.map(({ msg }) => msg),
      ['begin', 'end', 'metrics'],
      way,
    );
    t.equal(metric(lines, 'countersign_core_event_loop_blocked_total'), 0, way);
  }
});

t.test('a process that was stopped as a whole blames no callback', async (t) => {
  const lines = await blocking('idle', 500, ended, ({ msg }, kill) => {
    if (msg !== 'begin') return;
    kill('SIGSTOP');
    setTimeout(() => kill('SIGCONT'), 1200);
  });
  t.notOk(lines.some(({ msg }) => msg === 'event loop blocked'));
});
