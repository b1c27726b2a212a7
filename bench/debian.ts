/**
 * Newer programs than the system has: packages of Debian's unstable suite, fetched with apt into a folder of their own,
 * verified by Debian's signature and hashes, unpacked beside the system and run with the C library that they came with.
 * Nothing is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const suite = 'sid';
/** The programs, and every library that they are linked with; what else Debian asks for they do not need to run. */
const packages = [
  'haproxy',
  'libcrypt1',
  'libjemalloc2',
  'liblua5.4-0',
  'libopentracing-c-wrapper0t64',
  'libopentracing1',
  'libpcre2-8-0',
  'libstdc++6',
  'libgcc-s1',
  'nginx',
  'libnginx-mod-http-lua',
  'libnginx-mod-http-ndk',
  'libluajit-5.1-2',
  'lua-resty-core',
  'lua-resty-lrucache',
  'stunnel',
  'libsystemd0',
  'libcap2',
  'libssl3t64',
  'libzstd1',
  'zlib1g',
  'libc6',
] as const;
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const fetchLimitMs = 120_000;

const caches = join(import.meta.dirname, '../node_modules/.cache/countersign-bench');
const unpacked = join(
  caches,
  `${suite}-${createHash('sha256').update(packages.join()).digest('hex').slice(0, 12)}`,
);

/** What came of fetching them; asked for once a process. */
let outcome: { readonly failed?: string } | undefined;

/** Why there are none; undefined once they are there, fetched before or now. */
export function unstableMissing(): string | undefined {
  outcome ??= existsSync(unpacked) ? {} : fetchAll();
  return outcome.failed;
}

/** Where a file of one of the packages is. */
export function unstableFile(path: string): string {
  return join(unpacked, path);
}

/** The command that runs one of their programs, with its own loader and libraries. */
export function unstableProgram(path: string): [string, ...string[]] {
  const libraries = join(unpacked, 'usr/lib');
  const triplet = readdirSync(libraries).find((name) => name.endsWith('-linux-gnu')) ?? '';
  const folder = join(libraries, triplet);
  const loader = readdirSync(folder).find((name) => name.startsWith('ld-linux')) ?? '';
  return [join(folder, loader), '--library-path', folder, unstableFile(path)];
}

/** Leaves either all of them unpacked or nothing. */
function fetchAll(): { readonly failed?: string } {
  const work = `${unpacked}.${process.pid}`;
  try {
    for (const folder of ['lists/partial', 'archives/partial', 'packages', 'root'])
      mkdirSync(join(work, folder), { recursive: true });
    writeFileSync(join(work, 'status'), '');
    writeFileSync(
      join(work, 'sources.list'),
      `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`,
    );
    const options = [
      `Dir::State=${work}`,
      `Dir::State::Lists=${work}/lists`,
      `Dir::State::status=${work}/status`,
      `Dir::Cache=${work}`,
      `Dir::Etc::sourcelist=${work}/sources.list`,
      'Dir::Etc::sourceparts=/dev/null',
      'Acquire::Languages=none',
      'Acquire::Retries=2',
      'APT::Update::Error-Mode=any',
      'APT::Sandbox::User=',
    ].flatMap((option) => ['-o', option]);
    command('apt-get', [...options, 'update'], work);
    const folder = join(work, 'packages');
    command('apt-get', [...options, 'download', ...packages], folder);
    for (const file of readdirSync(folder))
      command('dpkg-deb', ['-x', join(folder, file), join(work, 'root')], work);
    renameSync(join(work, 'root'), unpacked);
    return {};
  } catch (error) {
    // Another process may have been faster.
    return existsSync(unpacked) ? {} : { failed: (error as Error).message };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @throws {Error} with the last line of what it said */
function command(program: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: fetchLimitMs,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined) throw new Error(`${program}: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr.trim().split('\n').at(-1)}`);
}
