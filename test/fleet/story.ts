import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fleet, repository } from './fleet.ts';
import { provision } from './provision.ts';
import { Report } from './report.ts';
import { stories, usualNames } from './stories.ts';
import { Story } from './story/context.ts';
import { Traffic } from './traffic.ts';

/**
 * Stories told on six hosts. Started by main.ts in namespaces of its own: `story.ts ID FOLDER IMAGE [--stay|STORY…]`, or on hosts that
 * stay up `story.ts --in FOLDER [STORY…]`.
 */
const words = process.argv.slice(2);
const attached = words[0] === '--in';
const [id = '', folder = '', image = ''] = attached ? ['', words[1]] : words;
const named = words.slice(attached ? 2 : 3);
const stays = named[0] === '--stay';
const report = new Report();
let fleet: Fleet | undefined;
let ending: Promise<void> | undefined;

function end(): Promise<void> {
  ending ??= attached ? Promise.resolve() : (fleet?.remove() ?? Promise.resolve());
  return ending;
}

process.on('SIGTERM', async () => {
  if (!stays) report.broke('interrupted');
  await end();
  report.end();
  process.exit(130);
});

try {
  fleet = attached ? await Fleet.attach(folder) : await bootSix();
  const story = new Story(fleet, report, new Traffic(fleet.guests));
  if (stays) {
    await story.settle();
    console.log(`the hosts stay up: npm run test:fleet -- --in ${folder} --story NAME`);
    setInterval(() => {}, 60_000);
    await once(process, 'SIGTERM');
  }
  if (!attached) await story.settle();
  await tell(story);
} catch (error) {
  if (ending === undefined) report.broke(error);
} finally {
  await end();
}
process.exit(report.end() ? 0 : 1);

async function bootSix(): Promise<Fleet> {
  report.chapter('six bare hosts');
  const made = await Fleet.make(id, folder, image);
  fleet = made;
  await provision(made, await readFile(join(repository, 'config/fleet.yaml'), 'utf8'));
  const started = Date.now();
  await made.boot();
  report.check(true, `six hosts are up, ${Date.now() - started} ms after their start`);
  return made;
}

async function tell(story: Story): Promise<void> {
  for (const name of named.length > 0 ? named : usualNames) await stories[name]?.(story);
  const { bareToEnforced, rollback, served, lost } = story.timings;
  report.chapter('measured');
  if (bareToEnforced > 0)
    report.note(`from six bare hosts to an enforced fleet, the playbooks: ${bareToEnforced.toFixed(0)} s`);
  if (rollback > 0) report.note(`the whole fleet back to logging: ${rollback.toFixed(1)} s`);
  report.note(`calls during deployments, swaps, rotations and rollbacks: ${served} served, ${lost} lost`);
}
