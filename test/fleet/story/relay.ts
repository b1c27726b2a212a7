import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inside, node, repository } from '../fleet.ts';
import type { Outcome } from '../guest/call.ts';
import { longLine, longLines } from '../guest/long-answer.ts';
import type { RelayMode } from '../guest/relay.ts';
import type { Story } from './context.ts';

const caller = 'ai-stack';
const callee = 'npu-worker';
const path = '/api/inference';
const question = 'a question that nobody on the way may read';
const longAnswer = createHash('sha256').update(longLine.repeat(longLines)).digest('hex');

/**
 * Somebody on the way between two hosts that enforce: nothing is readable, nothing altered arrives, nothing cut looks complete, and
 * nobody else is taken for the callee.
 */
export async function relay(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a relay between two hosts');
  const from = Date.now();
  await fleet.network.standBetween(caller, fleet.guest(callee).address);
  try {
    await withRelay(story, 'record', () => unreadable(story));
    await withRelay(story, 'flip', async () => {
      for (let i = 0; i < 3; i += 1)
        refused(story, await call(story, '?long'), 'an answer with a bit changed');
    });
    await withRelay(story, 'flip-request', async () => {
      const outcome = await call(story, '', question.repeat(400));
      refused(story, outcome, 'a request with a bit changed');
    });
    await withRelay(story, 'cut', async () => {
      refused(story, await call(story, '?long'), 'an answer of known length, cut');
      refused(story, await call(story, '?long=closed'), 'an answer that ends with its connection, cut');
    });
    for (const mode of ['answer', 'pretend'] as const)
      await withRelay(story, mode, async () => {
        const { status, reason } = await call(story, '');
        const who = mode === 'answer' ? 'that answers itself' : 'that is a TLS server with another key';
        report.equal(`${status} ${reason}`, '502 peer-unproven', `a relay ${who} is not taken for ${callee}`);
      });
  } finally {
    await fleet.network.stepAside(caller, fleet.guest(callee).address);
  }
  const back = async () => (await call(story, '')).status === 200;
  report.check(await story.until(90_000, back), 'without the relay, calls go on');
  report.equal((await story.hostsNotIn('enforcing')).join(', '), '', 'nobody rolled back for it');
  await story.noneLost(
    from,
    'the relay, between all other hosts',
    (one, other) => one === caller && other === callee,
  );
}

async function unreadable(story: Story): Promise<void> {
  const { report } = story;
  const short = await call(story, '');
  report.check(short.status === 200 && short.complete, 'a relay that records gets calls through', short);
  const long = await call(story, '?long');
  report.equal(long.sha256, longAnswer, 'and a long answer, as it was sent');
  const record = await readFile(recordFile(story), 'latin1');
  report.check(record.length > 1_000_000, `it has recorded ${record.length} bytes`);
  const found = [question, path, 'HTTP/1.1', callee, longLine.slice(0, 20)].filter((text) =>
    record.includes(text),
  );
  // The key id stands in the handshake: it names the caller, and no secret.
  report.equal(found.join(', '), '', 'and can read nothing of them');
}

/** What the caller got must not look like an answer. */
function refused({ report }: Story, outcome: Outcome, what: string): void {
  const whole = outcome.complete && outcome.status < 400;
  report.check(
    !whole,
    `${what} does not arrive as one: ${outcome.status}, ${outcome.complete ? 'whole' : 'broken off'}`,
    outcome,
  );
}

async function call({ fleet }: Story, query: string, body = question): Promise<Outcome> {
  const script = `${inside}/test/fleet/guest/call.ts`;
  return JSON.parse(
    await fleet.ssh(caller, `${node} ${script} ${callee} '${path}${query}' '${body}'`),
  ) as Outcome;
}

/** Has the relay stand between the hosts in a mode, for the length of some work. */
async function withRelay(story: Story, mode: RelayMode, work: () => Promise<void>): Promise<void> {
  const { network } = story.fleet;
  const { address } = story.fleet.guest(callee);
  const socket = join(story.fleet.control, 'relay.sock');
  const start = (command: string[]) =>
    spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const words = (...args: string[]) => [
    process.execPath,
    join(repository, 'test/fleet/guest/relay.ts'),
    ...args,
  ];
  // The relay has the callee's address; its other half, which reaches the callee, is elsewhere.
  const halves = [
    start(network.controlCommand(words('pass', socket, `${address}:15006`))),
    start(network.hostCommand('relay', words(mode, '15006', socket, recordFile(story)))),
  ];
  try {
    await Promise.all(
      halves.map(({ stdout }) => once(stdout as NonNullable<ChildProcess['stdout']>, 'data')),
    );
    await work();
  } finally {
    for (const half of halves) half.kill('SIGKILL');
    await story.fleet.operator('rm', '-f', socket);
  }
}

function recordFile(story: Story): string {
  return join(story.fleet.control, 'relay.record');
}
