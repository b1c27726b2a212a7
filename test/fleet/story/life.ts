import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseDocument, stringify } from 'yaml';
import { provisionGuest } from '../provision.ts';
import { checkMode } from './check-mode.ts';
import { essence, rotatorHost, type Story } from './context.ts';
import { reachLogging } from './logging.ts';
import { withoutService } from './matrix-text.ts';
import { unreachable } from './unreachable.ts';

const second = { name: 'npu-worker-2', service: 'npu-worker', address: '172.16.168.32' } as const;

/** Its address later. */
const moved = '172.16.168.33';

/** What happens to a fleet over the years, on hosts that log under traffic. */
export async function life(story: Story): Promise<void> {
  await reachLogging(story);
  for (const chapter of Object.values(chapters)) await chapter(story);
}

async function twoOperators(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('two operators at once');
  const lock = '/run/countersign-operator.lock';
  const other = 'alice@ops1 pid 4711 runs upgrade.yml since 2026-11-24T12:00:00Z';
  await fleet.ssh('frontend', `echo '${other}' > ${lock}`);
  const refused = await fleet.play('phase-1-logging');
  report.check(
    refused.status !== 0 && refused.stdout.includes(other),
    'the second one is stopped, and told who the first is',
    refused.stdout.slice(-2000),
  );
  await story.play('phase-1-logging', '-e', 'countersign_take_over=alice@ops1');
  report.equal(
    (await fleet.ssh('frontend', `cat ${lock} 2>/dev/null; true`)).trim(),
    '',
    'a named take-over goes on, and leaves no lock',
  );
}

async function limited(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('--limit to one host');
  const from = Date.now();
  await story.play('site', '--limit', 'frontend');
  const known = await fleet.ssh(
    rotatorHost,
    "cut -d' ' -f1 /var/lib/countersign-rotator/ssh/known_hosts | sort -u | wc -l",
  );
  report.equal(known.trim(), '6', 'the rotator still knows all six hosts');
  await story.play('rotate-keys');
  await story.noneLost(from, 'a limited play and a rotation after it');
}

/** A further host of a service comes in under traffic. */
async function addHost(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('add.yml: a second host of npu-worker');
  const guest = await fleet.add(second.name, second.address);
  await provisionGuest(guest, second.service, await appPort(story));
  await fleet.boot([second.name]);
  await editFleet(story, (hosts) => [...hosts, second.address]);
  await writeFile(moreHosts(story), inventoryOf(second.address));
  const from = Date.now();
  await story.play('add');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'it logs like the others');
  report.check(await story.until(20_000, () => isCalled(story)), 'and gets its share of the calls');
  await story.noneLost(from, 'its arrival');
  report.equal((await story.play('add')).changed, 0, 'a second add.yml changes nothing');
}

/** The VM is lost; a new one takes its name and address. */
async function replaceVm(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('add.yml: a VM that replaces a lost one');
  const guest = fleet.guest(second.name);
  await guest.replace();
  await provisionGuest(guest, second.service, await appPort(story));
  await fleet.learnHostKeys();
  await fleet.closeConnections();
  await fleet.boot([second.name]);
  await story.play('add');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'it logs again');
  report.check(await story.until(30_000, () => isCalled(story)), 'and is called again');
  await story.flow(3_000);
}

/** Removed under the old address, added under the new one. */
async function changeAddress(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('a host whose address changes');
  const from = Date.now();
  await editFleet(story, (hosts) => hosts.filter((host) => host !== second.address));
  await story.play('remove', '-e', `countersign_remove=${second.name}`);
  report.equal(await leftOn(story, second.name), '', 'nothing of Countersign is left on it');
  await fleet.readdress(second.name, moved);
  await editFleet(story, (hosts) => [...hosts, moved]);
  await writeFile(moreHosts(story), inventoryOf(moved));
  await story.play('add');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'it logs under the new one');
  report.check(await story.until(30_000, () => isCalled(story)), 'and is called there');
  await story.noneLost(from, 'the change of its address');
}

async function removeHost(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('remove.yml: a host that is lost');
  const remove = ['-e', `countersign_remove=${second.name}`];
  const early = await fleet.play('remove', ...remove);
  report.check(
    early.status !== 0 && early.stdout.includes('no longer in fleet.yaml'),
    'a host that fleet.yaml has is not removed',
    essence(early),
  );
  await editFleet(story, (hosts) => hosts.filter((host) => host !== moved));
  await fleet.network.cable(moved, 'down');
  await fleet.closeConnections();
  // What was under way to it when it was lost may be lost with it.
  await story.flow(10_000);
  const from = Date.now();
  const removed = await fleet.play('remove', ...remove);
  report.check(!/failed=[1-9]/.test(removed.stdout), 'it holds nothing up', essence(removed));
  const known = await fleet.ssh(
    rotatorHost,
    `grep -c '^${moved} ' /var/lib/countersign-rotator/ssh/known_hosts; true`,
  );
  report.equal(known.trim(), '0', 'the rotator has forgotten it');
  await story.noneLost(from, 'its removal');
  await rm(moreHosts(story));
  await fleet.dismiss(second.name);
}

async function firewall(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('firewall.yml');
  const name = 'npu-worker';
  const app = await appPort(story);
  const from = Date.now();
  const as = (user: string, port: number) =>
    fleet.trySsh(name, `runuser -u ${user} -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}'`);
  report.equal((await as('nobody', app)).status, 0, 'before, anyone on the host reaches the app');
  const user = ['-e', 'countersign_firewall_app_user=root'];
  await story.play('firewall', ...user);
  for (const [who, port, reaches] of [
    ['nobody', app, false],
    ['nobody', 15001, false],
    ['nobody', 15000, false],
    ['countersign', app, true],
    ['root', 15001, true],
  ] as const) {
    const { status } = await as(who, port);
    report.equal(status === 0, reaches, `${who} ${reaches ? 'reaches' : 'is refused'}: port ${port}`);
  }
  await story.noneLost(from, 'the firewall');
  report.equal((await story.play('firewall', ...user)).changed, 0, 'a second firewall.yml changes nothing');
  await story.play('firewall', '-e', 'countersign_firewall=absent');
  report.equal((await as('nobody', app)).status, 0, 'countersign_firewall=absent removes the rules');
}

/** A service goes, and comes back when its disk has space. */
async function removeAndAddService(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('remove.yml: a service');
  const name = 'browser-service';
  const files = [fleetFile(story), story.matrix];
  const before = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const from = Date.now();
  await fleet.ssh(name, 'systemctl stop fleet-traffic');
  for (const file of files) await writeFile(file, withoutService(await readFile(file, 'utf8'), name));
  await story.play('remove', '-e', `countersign_remove=${name}`);
  report.equal(await leftOn(story, name), '', 'nothing of Countersign is left on its host');

  report.chapter('add.yml: a service, on a disk that is too full at first');
  for (const [index, file] of files.entries()) await writeFile(file, before[index] as string);
  await fleet.ssh(name, 'mount -t tmpfs -o size=100M tmpfs /opt');
  const full = await fleet.play('add');
  report.check(
    full.status !== 0 && /Found \d+ MiB free/.test(full.stdout),
    'add.yml says how much space is missing',
    essence(full),
  );
  await fleet.ssh(name, 'umount /opt');
  await story.play('add');
  report.equal((await story.hostsNotIn('logging')).join(', '), '', 'with space, the service comes in');
  await fleet.ssh(name, 'systemctl start fleet-traffic');
  await story.flow(2_000);
  await story.noneLost(from, 'all of it, between the other hosts', (caller, callee) =>
    [caller, callee].includes(name),
  );
}

async function uninstall(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('uninstall.yml');
  const name = 'frontend';
  const only = ['--limit', name];
  await fleet.ssh(name, 'systemctl stop fleet-traffic');
  const unconfirmed = await fleet.play('uninstall', ...only);
  report.check(unconfirmed.status !== 0, 'it demands a confirmation');
  await story.play('uninstall', ...only, '-e', 'confirm=uninstall');
  report.equal(await leftOn(story, name), '', 'nothing is left');
  const again = await story.play('uninstall', ...only, '-e', 'confirm=uninstall');
  report.equal(again.changed, 0, 'a second one changes nothing');
}

/** What a host still has of Countersign, as one line. */
async function leftOn({ fleet }: Story, name: string): Promise<string> {
  const places =
    '/opt/countersign /etc/countersign* /etc/systemd/system/countersign* /var/lib/countersign /usr/local/bin/countersign';
  return (await fleet.ssh(name, `ls -d ${places} 2>/dev/null; getent passwd countersign; true`)).trim();
}

async function isCalled(story: Story): Promise<boolean> {
  const { observations } = await story.admin<{ observations: { direction: string; count: number }[] }>(
    second.name,
    'observed',
  );
  return observations.some(({ direction, count }) => direction === 'inbound' && count > 0);
}

async function appPort(story: Story): Promise<number> {
  const { services } = parse(await readFile(fleetFile(story), 'utf8')) as {
    services: Record<string, { app: number }>;
  };
  return services[second.service]?.app ?? 0;
}

async function editFleet(story: Story, change: (hosts: string[]) => string[]): Promise<void> {
  const document = parseDocument(await readFile(fleetFile(story), 'utf8'));
  const path = ['services', second.service, 'hosts'];
  document.setIn(path, change((document.toJS() as Services).services[second.service]?.hosts ?? []));
  await writeFile(fleetFile(story), document.toString());
}

interface Services {
  readonly services: Record<string, { hosts: string[] }>;
}

function fleetFile(story: Story): string {
  return join(story.fleet.control, 'config/fleet.yaml');
}

/** The inventory's further host. */
function inventoryOf(address: string): string {
  const host = { ansible_host: address, countersign_sidecar_service: second.service };
  return stringify({ all: { children: { countersign: { hosts: { [second.name]: host } } } } });
}

function moreHosts(story: Story): string {
  return join(story.fleet.control, 'inventory/more.yml');
}

/** Each can be told by itself on hosts that log, in this order. */
export const chapters: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  operators: twoOperators,
  limit: limited,
  unreachable,
  'add-host': addHost,
  'replace-vm': replaceVm,
  'change-address': changeAddress,
  'remove-host': removeHost,
  service: removeAndAddService,
  firewall,
  'check-mode': checkMode,
  uninstall,
};
