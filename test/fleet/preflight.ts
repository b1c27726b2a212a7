import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { attempt } from './run-command.ts';

/** What the fleet test runs, by the Debian package that holds it. */
const tools = {
  debootstrap: ['debootstrap'],
  'systemd-container': ['systemd-nspawn'],
  'ansible-core': ['ansible-playbook'],
  'ansible-lint': ['ansible-lint'],
  yamllint: ['yamllint'],
  iproute2: ['ip'],
  'openssh-client': ['ssh', 'ssh-keygen'],
  'util-linux': ['unshare', 'mount'],
};

/**
 * Makes the machine ready for the fleet test, or says why it can't be run here.
 *
 * @returns undefined when all is there, else the reason in one sentence
 */
export async function whyNot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `it needs Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'it needs root, for namespaces, mounts and systemd-nspawn';
  const missing = await missingPackages();
  if (missing.length > 0 && !(await install(missing))) {
    return `${missing.join(', ')} missing, and apt-get could not install ${missing.length > 1 ? 'them' : 'it'}`;
  }
  const namespaces = await attempt(['unshare', '--mount', '--pid', '--net', '--fork', 'true']);
  if (namespaces.status !== 0) return `the kernel gives no namespaces here: ${namespaces.stderr.trim()}`;
  return (await canMountOverlay()) ?? (await canMakeNetwork());
}

async function missingPackages(): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(tools).map(async ([name, files]) =>
      (await Promise.all(files.map(isCommand))).every(Boolean) ? [] : [name],
    ),
  );
  return found.flat();
}

async function isCommand(file: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const there = await Promise.all(
    folders.map((folder) =>
      access(join(folder, file), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return there.includes(true);
}

async function install(packages: readonly string[]): Promise<boolean> {
  if (!existsSync('/usr/bin/apt-get')) return false;
  console.log(`installing ${packages.join(', ')} with apt`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const command = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  if ((await attempt(command, { env })).status === 0) return true;
  await attempt(['apt-get', 'update'], { env });
  return (await attempt(command, { env })).status === 0;
}

async function canMountOverlay(): Promise<string | undefined> {
  const script =
    'd=$(mktemp -d) && mount -t tmpfs none $d && mkdir $d/l $d/u $d/w $d/m && ' +
    'mount -t overlay overlay -o lowerdir=$d/l,upperdir=$d/u,workdir=$d/w $d/m; s=$?; ' +
    'umount -l $d/m 2>/dev/null; umount -l $d; rmdir $d; exit $s';
  const mounted = await attempt(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script]);
  return mounted.status === 0 ? undefined : `no overlay can be mounted here: ${mounted.stderr.trim()}`;
}

async function canMakeNetwork(): Promise<string | undefined> {
  const script = 'ip link add br0 type bridge && ip link add v0 type veth peer name v1';
  const made = await attempt(['unshare', '--net', 'sh', '-c', script]);
  return made.status === 0 ? undefined : `no bridge and veth pair can be made here: ${made.stderr.trim()}`;
}
