import { essence, type Story } from './context.ts';

/** Every play that a fleet that logs can be given, with what it asks for. */
const plays: readonly (readonly string[])[] = [
  ['site'],
  ['phase-1-logging'],
  ['report'],
  ['report-redis'],
  ['status'],
  ['add'],
  ['upgrade'],
  ['prune'],
  ['rotate-keys'],
  ['firewall', '-e', 'countersign_firewall_app_user=root'],
  ['rollback', '-e', 'to=logging'],
  ['rollback', '-e', 'to=open-redis'],
  ['rollback', '-e', 'to=none', '-e', 'confirm=no-sidecar'],
  ['uninstall', '-e', 'confirm=uninstall'],
];

/** `--check --diff` gets to the end of every play and changes nothing. */
export async function checkMode(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('every play with --check --diff');
  const from = Date.now();
  await Promise.all(story.names.map((name) => fleet.ssh(name, 'touch /run/before-the-checks')));
  for (const [book, ...args] of plays) {
    const played = await fleet.play(book as string, ...args, '--check', '--diff');
    report.check(played.status === 0, `${book} ${args.join(' ')}`, essence(played));
    const secret = /(?:REDISCLI_AUTH|"key":\s*"[A-Za-z0-9+/]{20})/.exec(played.stdout);
    report.check(secret === null, `${book} ${args.join(' ')} shows no secret`, secret?.[0]);
  }
  const places = '/opt/countersign /etc/countersign* /etc/systemd/system /etc/ssh /etc/redis /usr/local';
  for (const name of story.names) {
    const found = `find ${places} -newer /run/before-the-checks -type f 2>/dev/null; true`;
    report.equal((await fleet.ssh(name, found)).trim(), '', `${name} is as it was`);
  }
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'and so is what serves');
  await story.noneLost(from, 'all of them');
}
