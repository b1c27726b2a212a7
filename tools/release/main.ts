import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import project from '../../package.json' with { type: 'json' };
import { build, dist, root } from '../build.ts';
import { writeManualPages } from '../man-pages.ts';
import { programs } from '../programs.ts';
import { makeDeb } from './deb.ts';
import { type Architecture, architectures, nodeFor } from './node-for.ts';
import { debianPackages } from './packages.ts';
import { billOfMaterials } from './sbom.ts';

const run = promisify(execFile);

/** What a release is made of; the fleet test makes a part of one. */
export interface Release {
  readonly version: string;
  readonly architectures: readonly Architecture[];
  readonly folder: string;
  /** All when left out. */
  readonly packages?: readonly string[];
}

/** Makes the packages of a release; returns their paths. */
export async function makePackages(release: Release): Promise<string[]> {
  const { version, architectures: wanted, folder } = release;
  const packages = debianPackages(version).filter(({ name }) => release.packages?.includes(name) ?? true);
  const names = packages.flatMap((pkg) => pkg.programs);
  const manual = join(folder, 'build/man');
  await writeManualPages(manual);
  const epoch = await commitTime();
  const made: string[] = [];
  for (const architecture of wanted) {
    const executables = join(folder, 'build', architecture);
    await build(names, { folder: executables, node: await nodeFor(architecture), version });
    for (const pkg of packages)
      made.push(await makeDeb(pkg, { version, architecture, executables, manual, out: folder, epoch }));
  }
  return made;
}

/** `npm run release`: packages, bill of materials and checksums in dist/release. */
async function main(): Promise<void> {
  const { version } = project;
  const folder = join(dist, 'release');
  const wanted = Object.keys(architectures) as Architecture[];
  await mkdir(folder, { recursive: true });
  const packages = await makePackages({ version, architectures: wanted, folder });
  const sbom = join(folder, `countersign_${version}.cdx.json`);
  const names = programs.map(({ name }) => name);
  await writeFile(
    sbom,
    await billOfMaterials(join(folder, 'build/amd64/bundles'), names, await commitTime()),
  );
  const lines = await Promise.all(
    [...packages, sbom].sort().map(async (file) => `${await sha256(file)}  ${basename(file)}\n`),
  );
  await writeFile(join(folder, 'SHA256SUMS'), lines.join(''));
  await rm(join(folder, 'build/man'), { recursive: true, force: true });
  for (const line of lines) process.stdout.write(line);
  console.log(`in ${folder}`);
}

/** Seconds since the epoch of the last commit: two releases of one commit are the same bytes. */
async function commitTime(): Promise<number> {
  const { stdout } = await run('git', ['log', '-1', '--format=%ct'], { cwd: root }).catch(() => ({
    stdout: '0',
  }));
  return Number(stdout);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

if (import.meta.main) await main();
