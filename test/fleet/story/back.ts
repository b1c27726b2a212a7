import { readFile, writeFile } from 'node:fs/promises';
import type { DenialRow, Story } from './context.ts';
import { withoutCallersOf } from './matrix-text.ts';

const dropIn = '/etc/systemd/system/countersign-enforcing.service.d/clock.conf';

/** A clock beyond the window is named as such, and is nobody else's trouble. */
export async function skew(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a clock beyond the window');
  const library = '/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1';
  await fleet.ssh(
    'frontend',
    `mkdir -p $(dirname ${dropIn}) && printf '[Service]\\nEnvironment=LD_PRELOAD=%s FAKETIME=+400s\\n' ${library} > ${dropIn} && ` +
      'systemctl daemon-reload && systemctl restart countersign-enforcing',
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
    `rm ${dropIn} && systemctl daemon-reload && systemctl restart countersign-enforcing`,
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
    'journalctl --no-pager -u countersign-guard -o cat | grep -i rollback; true',
  );
  report.check(/"kind":"rollback"/.test(said), 'it says why, as an alarm', said);
  await story.flow(1_000);
  await story.noneLost(Date.now(), 'logging again on main-backend');
  await writeFile(story.matrix, good);
  await story.play('site', '--tags', 'countersign_sidecar_configure');
}

/** Each rollback.yml goes one phase back. */
export async function rollBack(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('rollback.yml, phase by phase');
  const from = Date.now();
  await story.play('rollback');
  const open = await fleet.trySsh('redis-stack', 'redis-cli ping');
  report.check(open.stdout.includes('PONG'), 'first the Redis ACLs: the default user is back');
  report.equal(
    (await story.hostsNotIn('enforcing')).join(', '),
    'main-backend logging',
    'and the sidecars go on enforcing',
  );

  const second = await story.play('rollback');
  story.timings.rollback = second.seconds;
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'then to logging, on the whole fleet');
  report.check(second.seconds < 120, `in ${second.seconds.toFixed(1)} s, which is less than two minutes`);
  await story.noneLost(from, 'two rollbacks');

  await Promise.all(
    story.names.map((name) => fleet.ssh(name, 'systemctl disable --now --quiet fleet-traffic')),
  );
  await story.play('rollback');
  const silent = await Promise.all(
    story.names.map((name) =>
      story.status(name).then(
        () => false,
        () => true,
      ),
    ),
  );
  report.check(silent.every(Boolean), 'then to no sidecar');
  const last = await story.play('rollback');
  report.equal(last.changed, 0, 'and there is nothing before that');
}

async function enabled(story: Story, name: string): Promise<string> {
  const script =
    'for p in logging enforcing; do systemctl is-enabled -q countersign-$p && echo $p; done; true';
  return (await story.fleet.ssh(name, script)).trim().replaceAll('\n', ' ');
}
