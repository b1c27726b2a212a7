import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from '../fleet.ts';
import { run } from '../run-command.ts';
import { essence, type Story } from './context.ts';
import { withoutCallersOf } from './matrix-text.ts';

const gate = 'gate.json';

/** The report says go, and phase 2 demands what it says. */
export async function openGate(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('the report opens the gate');
  await story.flow(16_000);
  await story.play('report');
  await ageByADay(join(fleet.control, 'observed'));
  const ready = await story.countersign(
    ...['report', '--from', 'observed', '--authorization', story.matrix],
    ...['--gate', gate, '--gate-key', 'gate.key'],
    ...['--enforcing-binary', join(repository, 'dist/countersign-enforcing')],
  );
  report.equal(ready.status, 0, 'the report says go once a day of logging is on record');
  if (ready.status !== 0) throw new Error(`no gate file, no phase 2:\n${ready.stdout}${ready.stderr}`);

  const without = await fleet.play('phase-2-enforcing');
  report.check(
    without.status !== 0 && without.stdout.includes('Found no gate file'),
    'phase 2 refuses without a gate file',
  );
  const forged = join(fleet.control, 'forged.json');
  const text = await readFile(join(fleet.control, gate), 'utf8');
  await writeFile(forged, text.replace(/"expires": "\d{4}/, '"expires": "2999'), { mode: 0o600 });
  const refused = await fleet.play('phase-2-enforcing', '-e', `countersign_gate=${forged}`);
  report.check(
    refused.status !== 0 && /MAC|24 h/.test(refused.stdout),
    'phase 2 refuses a gate file that was changed',
  );
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'and has swapped nobody');
}

/** A story cannot log for a day: its gathered documents say that the sidecars have run since yesterday. */
async function ageByADay(observed: string): Promise<void> {
  for (const host of await readdir(observed)) {
    const file = join(observed, host, 'observed.json');
    const document = JSON.parse(await readFile(file, 'utf8'));
    for (const span of document.recorded)
      span.from = new Date(Date.parse(span.from) - 24 * 3_600_000).toISOString();
    await writeFile(file, JSON.stringify(document));
  }
}

/** Phase 2 meets a host on which enforcing breaks calls: it takes that host and those before it back. */
export async function breakPhase2(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('phase 2 rolls itself back past 5 %');
  const path = join(
    fleet.guest('main-backend').root,
    `etc/countersign/${await story.version()}/authorization.yaml`,
  );
  const good = await readFile(path, 'utf8');
  const playing = fleet.play(
    'phase-2-enforcing',
    '-e',
    gateVariable(story),
    '-e',
    'countersign_phase_2_watch=40s',
  );
  const swapped = await story.until(
    240_000,
    async () => (await story.status('main-backend')).phase === 'enforcing',
  );
  report.check(swapped, 'the second host enforces');
  // Somebody's slip, on that host alone: several callers lose their rules.
  await writeFile(
    path,
    withoutCallersOf(good, 'main-backend', ['npu-worker', 'ai-stack', 'browser-service']),
  );
  const played = await playing;
  report.check(
    played.status !== 0 && played.stdout.includes('are back at logging'),
    'phase 2 stops and says why',
    essence(played),
  );
  report.equal(
    (await story.hostsNotIn('logging')).join(', '),
    '',
    'that host and the one before it log again',
  );
  await writeFile(path, good);
  await story.flow(2_000);
}

/** Every host enforces; nobody's call is lost on the way, and a stranger's is refused. */
export async function enforce(story: Story): Promise<void> {
  const { report } = story;
  report.chapter('phase-2-enforcing.yml');
  const from = Date.now();
  const played = await story.play('phase-2-enforcing', '-e', gateVariable(story));
  story.timings.bareToEnforced += played.seconds;
  report.equal(
    (await story.hostsNotIn('enforcing')).join(', '),
    '',
    'the enforcing sidecar serves every host',
  );
  await story.noneLost(from, 'six swaps to enforcing');
  const again = await story.play(
    'phase-2-enforcing',
    '-e',
    gateVariable(story),
    '-e',
    'countersign_phase_2_watch=1s',
  );
  report.equal(again.changed, 0, 'a second phase-2-enforcing.yml changes nothing');
  const back = await story.fleet.play('phase-1-logging');
  report.check(
    back.status !== 0 && back.stdout.includes('rollback.yml'),
    'phase-1-logging.yml does not undo phase 2',
  );
  const table = await story.fleet.play('status');
  report.check(
    story.names.every((name) => new RegExp(`${name} +enforcing +\\S+ +${name}/\\d`).test(table.stdout)),
    'status.yml shows phase, version, key, skew and denials of every host',
    table.stdout,
  );
  for (const line of table.stdout.matchAll(/"((?:host|[a-z-]+) .*?)",?$/gm)) report.note(line[1] as string);
}

/** A host that belongs to nobody, on the same network. */
export async function intrude(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('an intruder on the network');
  await fleet.network.join('intruder', '172.16.168.66');
  const from = Date.now();
  const tries: [string, string, string, string, number][] = [
    ['a call without a signature', 'POST', '/api/inference', '', 401],
    ['a call that says it is ai-stack', 'POST', '/api/inference', 'X-Service-ID: ai-stack', 401],
    ['a captured call, moved to another path', 'POST', '/api/process', await captured(story), 401],
    ['a public path', 'GET', '/api/health', '', 200],
  ];
  for (const [what, method, path, fields, expected] of tries) {
    report.equal(await intruderCall(story, method, path, fields), expected, `${what}: ${expected}`);
  }
  const once = await captured(story);
  report.equal(
    await intruderCall(story, 'POST', '/api/inference', once),
    200,
    'a captured call that has not arrived yet is that call',
  );
  report.equal(await intruderCall(story, 'POST', '/api/inference', once), 401, 'and is accepted once');
  await story.noneLost(from, 'the intrusion');
}

/** The header lines of a call that ai-stack has signed. */
async function captured(story: Story): Promise<string> {
  const sign = 'sign POST http://npu-worker/api/inference --keyring /etc/countersign/keyring.json';
  return (await story.fleet.ssh('ai-stack', `/opt/countersign/current/countersign ${sign}`)).trim();
}

async function intruderCall(story: Story, method: string, path: string, fields: string): Promise<number> {
  const host = /^host:/im.test(fields) ? [] : ['Host: npu-worker'];
  const more = fields.split(/\r?\n/).filter((line) => line !== '');
  const head = [`${method} ${path} HTTP/1.1`, ...host, 'Connection: close', ...more].join('\r\n');
  const script = 'exec 3<>/dev/tcp/172.16.168.22/15006 && cat >&3 && timeout 5 cat <&3';
  const command = story.fleet.network.hostCommand('intruder', ['bash', '-c', script]);
  const answer = await run(command, { input: `${head}\r\n\r\n` });
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

function gateVariable(story: Story): string {
  return `countersign_gate=${join(story.fleet.control, gate)}`;
}
