import { readFile, writeFile } from 'node:fs/promises';
import type { DenialRow, Story } from './context.ts';
import { withoutCallersOf } from './matrix-text.ts';

const dropIn = '/etc/systemd/system/countersign-enforcing@.service.d/clock.conf';

/** A clock beyond the window is named as such, and is nobody else's trouble. */
export async function skew(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a clock beyond the window');
  const library = '/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1';
  await fleet.ssh(
    'frontend',
    `mkdir -p $(dirname ${dropIn}) && printf '[Service]\\nEnvironment=LD_PRELOAD=%s FAKETIME=+400s\\n' ${library} > ${dropIn} && ` +
      "systemctl daemon-reload && systemctl restart 'countersign-enforcing@*'",
  );
  const named = await story.until(15_000, async () => {
    const { denials } = await story.admin<{ denials: DenialRow[] }>('main-backend', 'denials');
    return denials.some(({ reason, claimed }) => reason === 'outside-window' && claimed === 'frontend');
  });
  report.check(named, 'calls of that host are refused: outside-window, claimed by frontend');
  const { denials } = await story.admin<{ denials: DenialRow[] }>('main-backend', 'denials');
  const row = denials.find(({ reason }) => reason === 'outside-window');
  report.check(
    /clock/i.test(row?.detail ?? '') && /\b(39|40)\d\b/.test(row?.detail ?? ''),
    `the reason names the clock: ${row?.detail}`,
    row,
  );
  await fleet.ssh(
    'frontend',
    `rm ${dropIn} && systemctl daemon-reload && systemctl restart 'countersign-enforcing@*'`,
  );
  report.equal((await story.hostsNotIn('enforcing')).join(', '), '', 'nobody rolled back for it');

  const sshd = '/etc/ssh/sshd_config.d/clock.conf';
  await fleet.ssh(
    'frontend',
    `printf 'SetEnv LD_PRELOAD=%s FAKETIME=+5s\\n' ${library} > ${sshd} && systemctl reload ssh`,
  );
  await fleet.closeConnections();
  const site = await fleet.play('site', '--tags', 'time_sync');
  report.check(
    site.status !== 0 && /Found the clock of frontend [45]\./.test(site.stdout),
    'time_sync refuses a host that is 5 s off, and says how far',
    site.stdout,
  );
  await fleet.ssh('frontend', `rm ${sshd}; systemctl reload ssh`);
  await fleet.closeConnections();
  await story.flow(2_000);
}

/** A broken matrix: the guard of the host that suffers swaps it back, by itself. */
export async function guard(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a broken matrix, and the guard');
  const good = await readFile(story.matrix, 'utf8');
  const broken = withoutCallersOf(good, 'main-backend', ['npu-worker', 'ai-stack', 'browser-service']);
  await writeFile(story.matrix, broken);
  await story.play('site', '--tags', 'countersign_sidecar_configure');
  const started = Date.now();
  const back = await story.until(
    120_000,
    async () => (await story.status('main-backend')).phase === 'logging',
  );
  report.check(
    back,
    `the guard has swapped main-backend back to logging, ${((Date.now() - started) / 1000).toFixed(0)} s after the deployment`,
  );
  const others = (await story.hostsNotIn('enforcing')).join(', ');
  report.equal(others, 'main-backend logging', 'the other hosts go on enforcing');
  await story.until(10_000, async () => (await enabled(story, 'main-backend')) === 'logging');
  report.equal(
    await enabled(story, 'main-backend'),
    'logging',
    'and it would come back logging from a reboot',
  );
  const said = await fleet.ssh(
    'main-backend',
    "journalctl --no-pager -u 'countersign-guard@*' -o cat | grep -i rollback; true",
  );
  report.check(/"kind":"rollback"/.test(said), 'it says why, as an alarm', said);
  await story.flow(1_000);
  await story.noneLost(Date.now(), 'logging again on main-backend');
  await writeFile(story.matrix, good);
  await story.play('site', '--tags', 'countersign_sidecar_configure');
}

/** rollback.yml goes to the target that is named, and a second run changes nothing. */
export async function rollBack(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('rollback.yml');
  const from = Date.now();
  const without = await fleet.play('rollback');
  report.check(
    without.status !== 0 && without.stdout.includes('Nothing was changed'),
    'without a target it changes nothing',
    without.stdout,
  );
  await story.play('rollback', '-e', 'to=open-redis');
  const open = await fleet.trySsh('redis-stack', 'redis-cli ping');
  report.check(open.stdout.includes('PONG'), 'to=open-redis: the default user is back');
  report.equal(
    (await story.hostsNotIn('enforcing')).join(', '),
    'main-backend logging',
    'and the sidecars go on enforcing',
  );

  const played = await story.play('rollback', '-e', 'to=logging');
  story.timings.rollback = played.seconds;
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'to=logging: the whole fleet logs');
  report.check(played.seconds < 120, `in ${played.seconds.toFixed(1)} s, which is less than two minutes`);
  const again = await story.play('rollback', '-e', 'to=logging');
  report.equal(again.changed, 0, 'a second one changes nothing');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'and every host logs');
  await story.noneLost(from, 'the rollbacks');

  const unconfirmed = await fleet.play('rollback', '-e', 'to=none');
  report.check(
    unconfirmed.status !== 0 && unconfirmed.stdout.includes('confirm=no-sidecar'),
    'to=none demands a confirmation',
    unconfirmed.stdout,
  );
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'and does nothing without it');
  await Promise.all(
    story.names.map((name) => fleet.ssh(name, 'systemctl disable --now --quiet fleet-traffic')),
  );
  const none = ['-e', 'to=none', '-e', 'confirm=no-sidecar'];
  await story.play('rollback', ...none);
  report.check(await story.allSilent(), 'to=none, confirmed: no sidecar serves');
  report.equal((await story.play('rollback', ...none)).changed, 0, 'a second one changes nothing');
}

async function enabled(story: Story, name: string): Promise<string> {
  const wants = '/etc/systemd/system/multi-user.target.wants';
  const script = `ls ${wants} | sed -n 's/^countersign-\\(logging\\|enforcing\\)@.*/\\1/p'`;
  return (await story.fleet.ssh(name, script)).trim().replaceAll('\n', ' ');
}
