import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from '../fleet.ts';
import { attempt } from '../run-command.ts';
import { callsAllowedBy } from '../traffic.ts';
import type { DenialRow, Story } from './context.ts';

/** The rule that the operator has forgotten at first: ai-stack may ask npu-worker to infer. */
const forgotten = { callee: 'npu-worker', caller: 'ai-stack', rule: 'POST /api/inference' };

/** The collection is as its users expect one. */
export async function lint({ report }: Story): Promise<void> {
  report.chapter('the collection');
  const cwd = join(repository, 'ansible');
  const yaml = await attempt(['yamllint', '--strict', '.'], { cwd });
  report.equal(yaml.status, 0, 'yamllint has nothing to say');
  const rules = await attempt(['ansible-lint', '--offline', '--nocolor'], { cwd });
  report.check(
    rules.status === 0,
    'ansible-lint passes it in its production profile',
    rules.stdout + rules.stderr,
  );
}

/** Has every host log under traffic, unless it does already. */
export async function reachLogging(story: Story): Promise<void> {
  const { fleet } = story;
  await story.traffic.plan(callsAllowedBy(await readFile(story.matrix, 'utf8')), 1_000);
  if ((await story.hostsNotIn('logging')).length > 0) {
    await story.play('site');
    await story.play('phase-1-logging');
  }
  await Promise.all(
    story.names.map((name) => fleet.ssh(name, 'systemctl enable --now --quiet fleet-traffic')),
  );
  await story.flow(3_000);
}

/** From six bare hosts to six that log. */
export async function install(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('site.yml: the ground');
  const full = await readFile(story.matrix, 'utf8');
  await story.traffic.plan(callsAllowedBy(full), 1_000);
  await writeFile(story.matrix, withoutForgotten(full));

  // A user that an exporter has, as Redis's own documentation tells to make one.
  await fleet.ssh(
    'redis-stack',
    "echo 'user exporter on >old-secret ~* -@all +info +ping' >> /etc/redis/redis.conf && systemctl restart redis-server",
  );
  await story.play('site', '--check');
  report.check(
    (await fleet.trySsh('frontend', 'test -e /opt/countersign')).status !== 0,
    'check mode leaves bare hosts bare',
  );
  const first = await story.play('site');
  story.timings.bareToEnforced += first.seconds;
  report.check(first.changed > 0, 'site.yml sets six bare hosts up');
  report.check(await story.allSilent(), 'no sidecar serves yet');

  report.chapter('phase-1-logging.yml');
  await story.play('phase-1-logging', '--check');
  const logging = await story.play('phase-1-logging');
  story.timings.bareToEnforced += logging.seconds;
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'the logging sidecar serves every host');
  const again = await story.play('site');
  report.check(again.changed === 0, 'a second site.yml changes nothing', again.changedTasks);
  const repeated = await story.play('phase-1-logging');
  report.equal(repeated.changed, 0, 'a second phase-1-logging.yml changes nothing');
}

/** Traffic flows; the rule that is missing is reported, proposed, and deployed. */
export async function repairMatrix(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('logging under traffic, with a rule missing');
  await Promise.all(
    story.names.map((name) => fleet.ssh(name, 'systemctl enable --now --quiet fleet-traffic')),
  );
  const from = Date.now();
  await story.flow(5_000);
  await story.noneLost(from, 'logging');
  const { denials } = await story.admin<{ denials: DenialRow[] }>(forgotten.callee, 'denials');
  report.check(
    denials.some(({ reason, caller }) => reason === 'not-authorized' && caller === forgotten.caller),
    'the missing rule is reported: not-authorized, with the caller that its MAC proves',
    denials.slice(0, 3),
  );

  await story.play('report');
  const at = ['--from', 'observed', '--authorization', story.matrix];
  const early = await story.countersign('report', ...at);
  report.equal(early.status, 1, 'the report says no: too short, and calls that enforcing would refuse');
  const proposed = await story.countersign('matrix', 'suggest', ...at);
  report.check(
    proposed.stdout.includes(forgotten.rule),
    `matrix suggest proposes ${forgotten.rule}`,
    proposed,
  );
  const applied = await story.countersign('matrix', 'suggest', ...at, '--apply');
  report.equal(applied.status, 0, 'matrix suggest --apply writes it');
  report.check((await readFile(story.matrix, 'utf8')).includes('# What an OpenAI'), 'and keeps the comments');

  const deploying = Date.now();
  await story.play('site', '--tags', 'countersign_sidecar_configure');
  const explained = await story.countersign(
    ...['matrix', 'explain', forgotten.caller, 'POST', forgotten.callee, '/api/inference'],
    ...['--authorization', story.matrix],
  );
  report.equal(explained.status, 0, 'the deployed matrix allows it');
  const hashes = async () =>
    new Set((await Promise.all(story.names.map((name) => story.status(name)))).map(({ matrix }) => matrix));
  report.check(
    await story.until(10_000, async () => (await hashes()).size === 1),
    'every sidecar has loaded it',
  );
  await story.noneLost(deploying, 'the deployment of the matrix');
}

/** A host that restarts comes back in the phase that it was in. */
export async function reboot(story: Story, name: string, phase: 'logging' | 'enforcing'): Promise<void> {
  await story.fleet.reboot(name);
  const back = await story.until(30_000, async () => {
    const status = await story.status(name);
    return status.phase === phase && status.ready;
  });
  story.report.check(back, `${name} comes back from a reboot in the same phase: ${phase}`);
  // Its neighbours' connections to it have to be found broken first.
  await story.flow(3_000);
}

function withoutForgotten(text: string): string {
  const [before, after] = text.split(/(?<=^ {2}npu-worker:$[\s\S]*?^ {6}ai-stack:$)/m) as [string, string];
  const without = after.replace(`\n        - ${forgotten.rule}`, '');
  if (without === after) throw new Error(`config/authorization.yaml has no ${forgotten.rule} to forget`);
  return before + without;
}
