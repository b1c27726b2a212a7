import { essence, type Story } from './context.ts';

const lost = 'browser-service';

/** Plays that can go on without a host do; those that need every host change nothing. */
export async function unreachable(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a host that cannot be reached');
  const from = Date.now();
  const { address } = fleet.guest(lost);
  await fleet.network.cable(address, 'down');
  await fleet.closeConnections();
  const upgrade = await fleet.play('upgrade');
  report.check(
    upgrade.status !== 0 && upgrade.stdout.includes(`Found no way to ${lost}`),
    'upgrade.yml changes nothing and names it',
    essence(upgrade),
  );
  const site = await fleet.play('site', '--tags', 'countersign_sidecar_configure');
  report.equal(withoutLost(site.stdout), 'browser-service', 'site.yml does the others');
  const rolledBack = await fleet.play('rollback', '-e', 'to=logging');
  report.equal(withoutLost(rolledBack.stdout), 'browser-service', 'rollback.yml goes back without it');
  await fleet.network.cable(address, 'up');
  await story.until(30_000, async () => (await fleet.trySsh(lost, 'true')).status === 0);
  await story.play('site', '--tags', 'countersign_sidecar_configure');
  await story.flow(3_000);
  await story.noneLost(from, 'all of it, between the others', (caller, callee) =>
    [caller, callee].includes(lost),
  );

  report.chapter('a host that is cut off midway');
  const playing = fleet.play('site');
  await story.until(
    60_000,
    async () => (await fleet.trySsh(lost, 'test -e /run/countersign-operator.lock')).status === 0,
  );
  await fleet.network.cable(address, 'down');
  const cut = await playing;
  report.check(cut.status !== 0, 'site.yml says that it was lost');
  await fleet.network.cable(address, 'up');
  await story.until(30_000, async () => (await fleet.trySsh(lost, 'true')).status === 0);
  await fleet.closeConnections();
  await story.play('site');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'a second run makes up for it');
}

/** The hosts that a play has lost; what failed on the others comes with it. */
function withoutLost(stdout: string): string {
  const recap = [...stdout.matchAll(/^(\S+) +: ok=\d+ +changed=\d+ +unreachable=(\d+) +failed=(\d+)/gm)];
  return recap
    .flatMap(([, host, gone, failed]) =>
      failed !== '0' ? [`${host} failed`] : gone !== '0' ? [`${host}`] : [],
    )
    .join(', ');
}
