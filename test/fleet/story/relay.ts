import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
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
    await withRelay(story, modeFile(story), async () => {
      const through = async () => (await call(story, '')).status === 200;
      report.check(await story.until(90_000, through), 'a relay that only forwards gets calls through');
      await setMode(story, 'record');
      await unreadable(story);
      await setMode(story, 'flip');
      for (let i = 0; i < 3; i += 1)
        refused(story, await call(story, '?long'), 'an answer with a bit changed');
      await setMode(story, 'flip-request');
      refused(story, await call(story, '', question.repeat(400)), 'a request with a bit changed');
      await setMode(story, 'cut');
      refused(story, await call(story, '?long'), 'an answer of known length, cut');
      refused(story, await call(story, '?long=closed'), 'an answer that ends with its connection, cut');
      await setMode(story, 'pass');
      report.check(await story.until(90_000, through), 'calls go on when it lets them');
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
  report.check(await story.until(150_000, back), 'without the relay, calls go on');
  report.equal((await story.hostsNotIn('enforcing')).join(', '), '', 'nobody rolled back for it');
  await story.noneLost(from, 'the relay, between all other hosts', (one, other) =>
    // The callee's own calls as well: what the caller's host answers goes to the relay.
    [one, other].every((name) => name === caller || name === callee),
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

/** What the caller got must be broken off, or the sidecar's own refusal of what came over the hop. */
function refused({ report }: Story, outcome: Outcome, what: string): void {
  const { status, complete, reason } = outcome;
  const broken = !complete || (status === 502 && reason === 'upstream-failed');
  report.check(
    broken,
    `${what} does not arrive as one: ${complete ? `${status} ${reason}` : 'broken off'}`,
    outcome,
  );
}

async function call({ fleet }: Story, query: string, body = question): Promise<Outcome> {
  const script = `${inside}/test/fleet/guest/call.ts`;
  return JSON.parse(
    await fleet.ssh(caller, `${node} ${script} ${callee} '${path}${query}' '${body}'`),
  ) as Outcome;
}

/** Has the relay stand between the hosts for the length of some work. @param mode one, or the file that names it */
async function withRelay(story: Story, mode: string, work: () => Promise<void>): Promise<void> {
  const { network } = story.fleet;
  const { address } = story.fleet.guest(callee);
  const socket = join(story.fleet.control, 'relay.sock');
  const words = (...args: string[]) => [
    process.execPath,
    join(repository, 'test/fleet/guest/relay.ts'),
    ...args,
  ];
  await setMode(story, 'pass');
  const halves: ChildProcess[] = [];
  const start = async (command: string[]) => {
    const half = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    halves.push(half);
    await once(half.stdout, 'data');
  };
  try {
    // The relay has the callee's address; its other half, which reaches the callee, is elsewhere, and there first.
    await start(network.controlCommand(words('pass', socket, `${address}:15006`)));
    await start(network.hostCommand('relay', words(mode, '15006', socket, recordFile(story))));
    await work();
  } finally {
    for (const half of halves) half.kill('SIGKILL');
    await story.fleet.operator('rm', '-f', socket);
  }
}

async function setMode(story: Story, mode: RelayMode): Promise<void> {
  await writeFile(`${modeFile(story)}.new`, mode);
  await rename(`${modeFile(story)}.new`, modeFile(story));
}

function modeFile(story: Story): string {
  return join(story.fleet.control, 'relay.mode');
}

function recordFile(story: Story): string {
  return join(story.fleet.control, 'relay.record');
}
