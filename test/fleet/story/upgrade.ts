import { readFile } from 'node:fs/promises';
import { earlierVersion } from '../earlier-version.ts';
import { callsAllowedBy } from '../traffic.ts';
import type { Story } from './context.ts';

/** 0.1 is upgraded to this version and goes back, under traffic. Begins on bare hosts, or on hosts that log with 0.1. */
export async function upgrade(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a fleet that 0.1 has set up with its own playbooks');
  const earlier = await earlierVersion((line) => report.note(line));
  const isThere = (await versions(story).catch(() => '')) === '0.1.0';
  for (const book of isThere ? [] : ['site', 'phase-1-logging']) {
    const played = await fleet.playOf(earlier, book);
    if (played.status !== 0) throw new Error(`0.1's ${book}.yml failed:\n${played.stdout.slice(-3000)}`);
  }
  report.equal(await versions(story), '0.1.0', 'every host logs with 0.1.0');
  await story.traffic.plan(callsAllowedBy(await readFile(story.matrix, 'utf8')), 1_000);
  await Promise.all(
    story.names.map((name) => fleet.ssh(name, 'systemctl enable --now --quiet fleet-traffic')),
  );
  await story.flow(3_000);

  report.chapter('upgrade.yml: the version beside the old one, then wave by wave');
  const from = Date.now();
  await story.play('site');
  report.equal(await versions(story), '0.1.0', 'site.yml installs and changes no version that serves');
  const before = Date.now();
  await story.play('upgrade', '--skip-tags', 'countersign_core');
  const now = await versions(story);
  report.check(now !== '0.1.0' && !now.includes(' '), `every host logs with ${now}`);
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'in the phase that it was in');
  await story.noneLost(from, 'the upgrade');
  report.note(`the upgrade took ${((Date.now() - before) / 1000).toFixed(0)} s`);
  const core = Date.now();
  await story.play('upgrade');
  await story.noneLost(
    core,
    'the upgrade of the core, calls to the core left out',
    (_caller, callee) => callee === 'main-backend',
  );
  report.equal((await story.play('upgrade')).changed, 0, 'a second upgrade.yml changes nothing');
  const restart = Date.now();
  await fleet.ssh('main-backend', 'systemctl restart countersign-core');
  await story.flow(2_000);
  await story.noneLost(restart, 'a restart of the core, calls to the core counted');

  report.chapter('rollback.yml -e to=previous');
  const back = Date.now();
  const played = await story.play('rollback', '-e', 'to=previous');
  report.equal(await versions(story), '0.1.0', 'every host logs with 0.1.0 again');
  report.check(played.seconds < 120, `in ${played.seconds.toFixed(1)} s`);
  await story.noneLost(back, 'going back');
  report.equal(
    (await story.play('rollback', '-e', 'to=previous')).changed,
    0,
    'a second one changes nothing',
  );

  report.chapter('a version that does not stand up');
  const again = Date.now();
  // Its logging sidecar ends at once, on the second host of the waves.
  const victim = 'main-backend';
  const unit = `/etc/systemd/system/countersign-logging@${now}.service.d`;
  const broken = `printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > ${unit}/broken.conf`;
  await fleet.ssh(victim, `mkdir -p ${unit} && ${broken} && systemctl daemon-reload`);
  const failed = await fleet.play('upgrade');
  report.check(
    failed.status !== 0 && failed.stdout.includes('serve with the version before'),
    'upgrade.yml stops and says why',
    failed.stdout.slice(-3000),
  );
  report.equal(await versions(story), '0.1.0', 'that host and those before it serve with 0.1.0');
  await story.noneLost(again, 'the upgrade that failed');
  await fleet.ssh(victim, `rm -r ${unit} && systemctl daemon-reload`);
  await story.play('upgrade');
  report.equal(await versions(story), now, 'and it goes on once the host is repaired');
  await story.noneLost(again, 'all of it');
}

async function versions(story: Story): Promise<string> {
  const all = await Promise.all(story.names.map(async (name) => (await story.status(name)).version));
  return [...new Set(all)].sort().join(' ');
}
