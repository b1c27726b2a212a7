import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { glob, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run-command.ts';

/** Kept between runs, and shared by all checkouts of this machine. */
const cache = '/var/cache/countersign-fleet';

/** Debian 12, and with FLEET_SUITE=trixie in the environment of the test Debian 13. */
export const suite = process.env.FLEET_SUITE ?? 'bookworm';

/** What every host of the fleet has before Ansible comes: what an operator's VM would have as well. */
const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'openssh-server',
  'python3',
  'iproute2',
  'libatomic1',
  'chrony',
  'redis-server',
  'libfaketime',
  'nftables',
];

/** The root folder of a Debian system, made with debootstrap the first time. */
export async function image(say: (line: string) => void): Promise<string> {
  const key = createHash('sha256').update([suite, ...packages].join('\n'));
  const folder = join(cache, `${suite}-${key.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const mirror = await debianMirror();
  say('building the image of the hosts with debootstrap (once, about a minute)');
  const half = `${folder}.${process.pid}`;
  await mkdir(cache, { recursive: true });
  try {
    const include = `--include=${packages.join(',')}`;
    await run(['debootstrap', '--variant=minbase', include, suite, half, mirror], { limitMs: 900_000 });
    await rm(join(half, 'var/cache/apt'), { recursive: true, force: true });
    for await (const key of glob('etc/ssh/ssh_host_*', { cwd: half })) await rm(join(half, key));
    await rename(half, folder);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
  return folder;
}

/**
 * The Debian mirror that this machine itself is configured with, from one-line and deb822 sources. A mirror has every suite.
 *
 * @throws {Error} when there is none
 */
async function debianMirror(): Promise<string> {
  for await (const file of glob(['sources.list', 'sources.list.d/*.{list,sources}'], { cwd: '/etc/apt' })) {
    const text = await readFile(join('/etc/apt', file), 'utf8');
    const uri = file.endsWith('.sources') ? fromStanzas(text) : fromLines(text);
    if (uri !== undefined) return uri;
  }
  throw new Error(`no source in /etc/apt offers Debian's main: the image can't be built from this machine`);
}

const suites = /^(bookworm|trixie)$/;

function fromLines(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const [, uri, name, components] = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (suites.test(name ?? '') && components?.split(/\s+/).includes('main')) return uri;
  }
  return undefined;
}

function fromStanzas(text: string): string | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const words = (field: string) =>
      new RegExp(`^${field}:\\s*(.*)$`, 'im').exec(stanza)?.[1]?.split(/\s+/) ?? [];
    const offers = words('Suites').some((name) => suites.test(name)) && words('Components').includes('main');
    if (words('Types').includes('deb') && offers) return words('URIs')[0];
  }
  return undefined;
}
