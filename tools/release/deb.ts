import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { root } from '../build.ts';
import type { DebianPackage } from './packages.ts';

const run = promisify(execFile);
/** What Node's executable needs of Debian, beside glibc. */
const everyProgram = ['libc6 (>= 2.28)', 'libatomic1', 'libstdc++6 (>= 8)'];
const scripts = ['preinst', 'postinst', 'prerm', 'postrm'] as const;

export interface DebInput {
  readonly version: string;
  readonly architecture: 'amd64' | 'arm64';
  /** The folder of the executables for this architecture. */
  readonly executables: string;
  /** The folder of the manual pages. */
  readonly manual: string;
  /** Where the package goes. */
  readonly out: string;
  /** Seconds since the epoch, the time of every file: the same input gives the same bytes. */
  readonly epoch: number;
}

/** Makes `NAME_VERSION_ARCHITECTURE.deb` with dpkg-deb; returns its path. */
export async function makeDeb(pkg: DebianPackage, input: DebInput): Promise<string> {
  const { version, architecture, out, epoch } = input;
  const stage = await mkdtemp(join(tmpdir(), 'countersign-deb-'));
  try {
    for (const name of pkg.programs)
      await place(stage, `/usr/lib/countersign/${name}`, join(input.executables, name), 0o755);
    for (const [path, text] of pkg.files)
      await write(stage, path, text, path.endsWith('/alarm') ? 0o755 : 0o644);
    for (const [path, target] of pkg.links) {
      await mkdir(dirname(join(stage, path)), { recursive: true });
      await symlink(target, join(stage, path));
    }
    if (pkg.manual)
      // Without a name and a time inside, so that the bytes are the same.
      for (const page of (await readdir(input.manual)).sort())
        await write(
          stage,
          `/usr/share/man/man1/${page}.gz`,
          gzipSync(await readFile(join(input.manual, page)), { level: 9 }),
          0o644,
        );
    await place(stage, `/usr/share/doc/${pkg.name}/copyright`, join(root, 'LICENSE'), 0o644);
    await write(stage, '/DEBIAN/control', await control(pkg, input, stage), 0o644);
    for (const script of scripts) {
      const source = join(import.meta.dirname, 'debian', `${pkg.name}.${script}`);
      if (!existsSync(source)) continue;
      await write(
        stage,
        `/DEBIAN/${script}`,
        (await readFile(source, 'utf8')).replaceAll('@VERSION@', version),
        0o755,
      );
    }
    await setTimes(stage, epoch);
    const file = join(out, `${pkg.name}_${version}_${architecture}.deb`);
    await mkdir(out, { recursive: true });
    await run('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z12', '--build', stage, file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    });
    return file;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function control(
  pkg: DebianPackage,
  { version, architecture }: DebInput,
  stage: string,
): Promise<string> {
  const { homepage } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    homepage?: string;
  };
  return [
    `Package: ${pkg.name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    'Maintainer: The authors of Countersign <countersign@localhost>',
    'Section: net',
    'Priority: optional',
    `Installed-Size: ${Math.ceil((await bytesIn(stage)) / 1024)}`,
    `Depends: ${[...everyProgram, ...pkg.depends].join(', ')}`,
    ...(homepage === undefined ? [] : [`Homepage: ${homepage}`]),
    `Description: ${pkg.summary}`,
    ` ${pkg.description}`,
    '',
  ].join('\n');
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function place(stage: string, path: string, source: string, mode: number): Promise<void> {
  const file = join(stage, path);
  await mkdir(dirname(file), { recursive: true });
  await copyFile(source, file);
  await chmod(file, mode);
}

async function write(stage: string, path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = join(stage, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  await chmod(file, mode);
}

/** One time and, for folders, one mode, whatever the umask was. */
async function setTimes(folder: string, epoch: number): Promise<void> {
  for (const { parentPath, name } of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(parentPath, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (found.isDirectory()) await chmod(path, 0o755);
    await utimes(path, epoch, epoch);
  }
  await chmod(folder, 0o755);
  await utimes(folder, epoch, epoch);
}
