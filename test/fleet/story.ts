import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fleet, repository } from './fleet.ts';
import { provision } from './provision.ts';
import { Report } from './report.ts';
import { guard, rollBack, skew } from './story/back.ts';
import { Story } from './story/context.ts';
import { breakPhase2, enforce, intrude, openGate } from './story/enforcing.ts';
import { closeRedis, rotate } from './story/keys.ts';
import { install, lint, mendMatrix, reboot } from './story/logging.ts';
import { Traffic } from './traffic.ts';

/** The story of a rollout, told on six hosts. Started by main.ts in namespaces of its own. */
const [, , id = '', folder = '', image = ''] = process.argv;
const report = new Report();
let fleet: Fleet | undefined;
let ending: Promise<void> | undefined;

function end(): Promise<void> {
  ending ??= fleet?.remove() ?? Promise.resolve();
  return ending;
}

process.on('SIGTERM', async () => {
  report.broke('interrupted');
  await end();
  report.end();
  process.exit(130);
});

try {
  report.chapter('six bare hosts');
  fleet = await Fleet.make(id, folder, image);
  await provision(fleet, await readFile(join(repository, 'config/fleet.yaml'), 'utf8'));
  const started = Date.now();
  await fleet.boot();
  report.check(true, `six hosts are up, ${Date.now() - started} ms after their start`);
  await tell(new Story(fleet, report, new Traffic(fleet.guests)));
} catch (error) {
  if (ending === undefined) report.broke(error);
} finally {
  await end();
}
process.exit(report.end() ? 0 : 1);

async function tell(story: Story): Promise<void> {
  await lint(story);
  await story.settle();
  await install(story);
  await mendMatrix(story);
  await reboot(story, 'frontend', 'logging');
  await openGate(story);
  await breakPhase2(story);
  await enforce(story);
  await reboot(story, 'ai-stack', 'enforcing');
  await intrude(story);
  await rotate(story);
  await closeRedis(story);
  await skew(story);
  await guard(story);
  await rollBack(story);
  const { bareToEnforced, rollback, served, lost } = story.timings;
  report.chapter('measured');
  report.note(`from six bare hosts to an enforced fleet, the playbooks: ${bareToEnforced.toFixed(0)} s`);
  report.note(`the whole fleet back to logging: ${rollback.toFixed(1)} s`);
  report.note(`calls during deployments, swaps, rotations and rollbacks: ${served} served, ${lost} lost`);
}
