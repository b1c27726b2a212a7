import { cp, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makePackages } from '../../../tools/release/main.ts';
import { repository } from '../fleet.ts';
import { provisionGuest } from '../provision.ts';
import type { Story } from './context.ts';

const caller = { name: 'frontend', app: 5173 };
const callee = { name: 'npu-worker', app: 8081 };
const executables = ['countersign', 'countersign-logging', 'countersign-enforcing'];
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Calls the callee through the caller's sidecar; prints the status. Debian's minimal system has Python and no curl. */
const callScript = `import sys, urllib.request, urllib.error
proxy = urllib.request.ProxyHandler({'http': 'http://127.0.0.1:15001'})
request = urllib.request.Request('http://${callee.name}' + sys.argv[2], method=sys.argv[1], data=b'{}' if sys.argv[1] == 'POST' else None)
try:
    print(urllib.request.build_opener(proxy).open(request, timeout=20).status)
except urllib.error.HTTPError as error:
    print(error.code)
`;

/** Calls without a pause until a file is there; prints how many were answered with 200, and how many were not. */
const steadyScript = `import os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({'http': 'http://127.0.0.1:15001'}))
served, lost = 0, 0
while not os.path.exists('/root/enough'):
    try:
        opener.open(urllib.request.Request('http://${callee.name}/api/process', method='POST', data=b'{}'), timeout=20).read()
        served += 1
    except Exception as error:
        lost += 1
print(served, lost)
`;

/**
 * Two hosts by hand, without Ansible: one with the executables alone, one with the packages, which are upgraded, taken
 * back and purged. Leaves bare hosts.
 */
export async function ownFleet(story: Story): Promise<void> {
  const { report, fleet } = story;
  const version = await story.version();
  const packages = await packagesOf(story, version);

  report.chapter('two hosts protected with countersign init and install.sh');
  const started = Date.now();
  const folder = join(fleet.control, 'own-fleet');
  const wish = ({ name, app }: typeof caller) => ['--service', `${name}=${fleet.guest(name).address}:${app}`];
  const rule = ['--allow', `${caller.name} POST ${callee.name} /api/process`];
  const made = await story.countersign('init', '--dir', folder, ...wish(caller), ...wish(callee), ...rule);
  report.equal(made.status, 0, `countersign init makes the folders ${made.stderr}`);
  for (const { name } of [caller, callee]) {
    const home = join(fleet.guest(name).root, 'root');
    await cp(join(folder, 'hosts', `${name}@${fleet.guest(name).address}`), join(home, name), {
      recursive: true,
    });
  }
  for (const name of executables)
    await cp(join(repository, 'dist', name), join(fleet.guest(caller.name).root, 'root', caller.name, name));
  await fleet.guest(caller.name).write('root/call.py', callScript);
  await fleet.guest(caller.name).write('root/steady.py', steadyScript);
  const byHand = await fleet.ssh(caller.name, `${caller.name}/install.sh`);
  report.check(
    byHand.includes(`countersign-logging@${version}.service serves`),
    'install.sh protects a bare host',
    byHand,
  );

  await install(story, packages.now);
  const packaged = await fleet.ssh(callee.name, `${callee.name}/install.sh`);
  report.check(packaged.includes('serves'), 'with the packages it needs no executables', packaged);
  report.equal(await call(story, 'POST', '/api/process'), '200', 'a call goes through both sidecars');
  const seconds = (Date.now() - started) / 1000;
  report.check(seconds < 300, `from nothing to the first protected call: ${seconds.toFixed(0)} s`);
  const { hops } = await story.admin<{ hops: { peer: string; sealed?: { count: number } }[] }>(
    callee.name,
    'observed',
  );
  report.check(
    hops.some(({ peer, sealed }) => peer === caller.name && (sealed?.count ?? 0) > 0),
    'inside TLS',
    hops,
  );
  const again = await fleet.ssh(caller.name, `${caller.name}/install.sh`);
  report.check(!again.includes('installed'), 'a second install.sh changes nothing', again);
  for (const { name } of [caller, callee]) await diagnose(story, name);

  report.chapter('enforcing by hand');
  for (const { name } of [caller, callee]) await fleet.ssh(name, 'countersign swap enforcing');
  report.equal(await call(story, 'POST', '/api/process'), '200', 'what a rule allows is served');
  report.equal(await call(story, 'GET', '/api/secret'), '403', 'and nothing else');

  report.chapter('dpkg -i of the next version, under calls');
  const steady = fleet.ssh(caller.name, 'python3 steady.py');
  await install(story, packages.next);
  await story.flow(2_000);
  await fleet.guest(caller.name).write('root/enough', '');
  const [served, lost] = (await steady).trim().split(' ').map(Number);
  report.check(lost === 0 && (served ?? 0) > 0, `${served} calls served, ${lost} lost`);
  const upgraded = await story.status(callee.name);
  report.equal(
    `${upgraded.phase} ${upgraded.version}`,
    `enforcing ${packages.nextVersion}`,
    'the next version serves, in the same phase',
  );
  await fleet.ssh(callee.name, 'countersign swap previous');
  report.equal(
    (await story.status(callee.name)).version,
    version,
    'and the one before is still there to go back to',
  );

  report.chapter('dpkg --remove, dpkg --purge');
  await fleet.ssh(callee.name, 'dpkg --remove countersign-sidecar countersign');
  report.check(
    await story.status(callee.name).then(
      () => false,
      () => true,
    ),
    'no sidecar serves',
  );
  const kept = await fleet.trySsh(callee.name, 'ls /etc/countersign/keyring.json; ls -d /opt/countersign');
  report.check(
    kept.stdout.includes('keyring.json') && !kept.stdout.includes('/opt'),
    'configuration and keys stay, programs go',
    kept,
  );
  await fleet.ssh(callee.name, 'dpkg --purge countersign-sidecar countersign');
  const left = await fleet.trySsh(
    callee.name,
    'ls -d /etc/countersign* /var/lib/countersign* /opt/countersign /usr/lib/countersign; getent passwd countersign countersign-guard; systemctl list-unit-files --no-legend "countersign*"; find /etc/systemd/system -name "countersign*"',
  );
  report.equal(left.stdout.trim(), '', 'nothing is left');

  for (const { name, app } of [caller, callee]) {
    await fleet.guest(name).replace();
    await provisionGuest(fleet.guest(name), name, app);
  }
  await fleet.learnHostKeys();
  await fleet.boot([caller.name, callee.name]);
}

/** This version and the next one as packages. */
async function packagesOf(story: Story, version: string) {
  story.report.chapter('packages of two versions');
  const nextVersion = version.replace(/\d+$/, (patch) => String(Number(patch) + 1));
  const make = (version: string) =>
    makePackages({
      version,
      architectures: [architecture],
      folder: join(story.fleet.control, 'packages', version),
      packages: ['countersign', 'countersign-sidecar'],
    });
  const now = await make(version);
  return { now, next: await make(nextVersion), nextVersion };
}

async function install(story: Story, debs: readonly string[]): Promise<void> {
  const { fleet, report } = story;
  const inside = join(fleet.guest(callee.name).root, 'root/debs');
  await rm(inside, { recursive: true, force: true });
  await mkdir(inside);
  for (const deb of debs) await cp(deb, join(inside, basename(deb)));
  const said = await fleet.ssh(callee.name, 'dpkg -i debs/*.deb 2>&1');
  report.check(!/error/i.test(said), `dpkg -i ${debs.map((deb) => basename(deb)).join(' ')}`, said);
}

async function call(story: Story, method: string, path: string): Promise<string> {
  return (await story.fleet.ssh(caller.name, `python3 call.py ${method} ${path}`)).trim();
}

/** Only the clock may be wrong: nothing synchronizes it in a guest. */
async function diagnose({ fleet, report }: Story, name: string): Promise<void> {
  const { stdout, stderr } = await fleet.trySsh(name, 'countersign doctor --json');
  const { checks = [] } = JSON.parse(stdout || '{}') as {
    checks?: { name: string; findings: { result: string; found?: string }[] }[];
  };
  const failures = checks.filter(({ findings }) => findings.some(({ result }) => result === 'failed'));
  const others = failures.filter(({ name }) => name !== 'clock-synchronized');
  report.check(
    checks.length > 0 && others.length === 0,
    `countersign doctor finds ${name} well`,
    others.length > 0 ? others : stderr,
  );
}
