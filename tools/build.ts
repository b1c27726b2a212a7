import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, copyFile, glob, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { stop } from 'esbuild';
import { bundle, bundlePage, together } from './bundle.ts';
import { type NodeExecutable, strippedNode } from './node-executable.ts';
import { type Program, programs } from './programs.ts';

/** The top of the repository. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
/** What the executables are built from, by its place in the repository. */
export const sources = [
  'config',
  'core',
  'sidecar',
  'signals',
  'tools',
  'web',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
] as const;
export const dist = join(root, 'dist');
const cache = join(root, 'node_modules/.cache/countersign');
const run = promisify(execFile);
const compress = promisify(zstdCompress);
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 15 } };

/** A program as built: where it is, and whether anything had to be done. */
export interface Built {
  readonly name: string;
  readonly file: string;
  readonly hash: string;
  readonly fresh: boolean;
}

/** Where executables are made, and of which Node: that of another processor makes executables for it. */
export interface Target {
  readonly folder: string;
  /** `bin/node` of one of the packages `node-linux-*`. */
  readonly node: string;
  /** What the programs call themselves; that of package.json when left out. */
  readonly version?: string;
}

const here: Target = { folder: dist, node: process.execPath };

/**
 * Bundles and packs the named programs (default: all). What is up to date is left alone, so that a second call
 * costs the bundling only, well under a second. One checkout gives the same bytes in every folder and on every machine.
 *
 * @throws {Error} with esbuild's or Node's own message
 */
export async function build(
  names: readonly string[] = programs.map((program) => program.name),
  target: Target = here,
): Promise<Built[]> {
  const wanted = names.map((name) => {
    const program = programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
    const known = programs.map((candidate) => candidate.name).join(', ');
    throw new Error(`found no program "${name}", expected one of ${known}`);
  });
  const folder = resolve(target.folder);
  await mkdir(join(folder, 'bundles'), { recursive: true });
  const node = await strippedNode(target.node, cache);
  const project = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const version = target.version ?? project.version;
  try {
    return await Promise.all(wanted.map((program) => buildProgram(program, { version, folder, node })));
  } finally {
    // esbuild's own process, which would otherwise stay for as long as this one.
    await stop();
  }
}

interface Build {
  readonly version: string;
  readonly folder: string;
  readonly node: NodeExecutable;
}

async function buildProgram(program: Program, { version, folder, node }: Build): Promise<Built> {
  const bundles = join(folder, 'bundles');
  const outfile = join(bundles, `${program.name}.cjs`);
  const [main, ...workers] = await Promise.all([
    bundle(root, program.entry, outfile),
    ...program.workers.map((worker) => bundleWorker(program, worker, bundles)),
  ]);
  const pages = await Promise.all(
    program.pages.map(async (page) => ({ page, ...(await bundlePage(root, page.entry)) })),
  );
  const packed = new Map<string, Uint8Array>();
  for (const { page, script, styles } of pages) packed.set(page.script, script).set(page.styles, styles);
  for (const worker of workers) packed.set(worker.asset, worker.code);
  for await (const path of glob([...program.assets], { cwd: root })) {
    packed.set(path, await readFile(join(root, path)));
  }
  const large = new Map<string, Uint8Array>();
  for await (const path of glob([...program.compressedAssets], { cwd: root })) {
    large.set(path, await readFile(join(root, path)));
  }

  const { code } = main;
  const hash = hashOf(
    [version, node.hash, ...program.execArgv].join(' '),
    code,
    new Map([...packed, ...large]),
  );
  const file = join(folder, program.name);
  const stamp = join(bundles, `${program.name}.build.json`);
  if (await isBuilt([file, outfile], stamp, hash)) return { name: program.name, file, hash, fresh: false };

  // Into a folder of its own and renamed at the end: a running executable cannot be written to, and two builds
  // at once must not see each other's halves.
  const work = await mkdtemp(join(folder, '.build-'));
  try {
    await writeFile(join(work, 'main.cjs'), code);
    for (const [path, content] of large) packed.set(path, await compress(content, compression));
    const info = JSON.stringify({ version, hash });
    const assets = await writeAssets(work, packed.set('build.json', Buffer.from(info)));
    const sea = {
      // The name is packed too: one with the folder would make other bytes in every folder.
      main: 'main.cjs',
      output: 'whole',
      executable: node.file,
      disableExperimentalSEAWarning: true,
      // No NODE_OPTIONS, no --node-options: what a program does is decided by which program runs.
      execArgvExtension: 'none',
      execArgv: program.execArgv,
      // V8's code cache differs from build to build.
      useCodeCache: false,
      assets,
    };
    await writeFile(join(work, 'sea.json'), JSON.stringify(sea));
    await run(process.execPath, ['--build-sea', 'sea.json'], { cwd: work });
    // Node writes the file in one go, and Linux keeps it in pages of 2 MiB for that, each of which counts wholly as
    // the memory of a process that touches it: 30 MiB. A copy is what arrives on a VM.
    await copyFile(join(work, 'whole'), join(work, program.name));
    await rename(join(work, program.name), file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  // What an earlier table of programs left there would be read as part of this one.
  for await (const old of glob(`${program.name}.*`, { cwd: bundles })) await rm(join(bundles, old));
  await writeFile(outfile, code);
  for (const worker of workers) await writeFile(worker.outfile, worker.code);
  for (const { page, script, styles } of pages) {
    await writeFile(join(root, page.script), script);
    await writeFile(join(root, page.styles), styles);
  }
  await writeFile(
    join(bundles, `${program.name}.meta.json`),
    JSON.stringify(together([main, ...workers, ...pages]), null, 1),
  );
  await writeFile(stamp, JSON.stringify({ version, hash }));
  return { name: program.name, file, hash, fresh: true };
}

async function bundleWorker(program: Program, entry: string, bundles: string) {
  const outfile = join(bundles, `${program.name}.${entry.replace(/\.ts$/, '').replaceAll('/', '-')}.cjs`);
  return { asset: entry.replace(/\.ts$/, '.js'), outfile, ...(await bundle(root, entry, outfile)) };
}

async function writeAssets(
  folder: string,
  packed: ReadonlyMap<string, Uint8Array>,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const [path, content] of packed) {
    const name = path.replaceAll('/', '__');
    await writeFile(join(folder, name), content);
    files[path] = name;
  }
  return files;
}

function hashOf(version: string, code: Uint8Array, packed: ReadonlyMap<string, Uint8Array>): string {
  const digest = createHash('sha256').update(`${version}\0`).update(code);
  for (const [path, content] of [...packed].sort(([a], [b]) => (a < b ? -1 : 1))) {
    digest.update(`\0${path}\0${content.length}\0`).update(content);
  }
  return digest.digest('hex');
}

async function isBuilt(files: readonly string[], stamp: string, hash: string): Promise<boolean> {
  try {
    const [text] = await Promise.all([readFile(stamp, 'utf8'), ...files.map((file) => access(file))]);
    return (JSON.parse(text) as { hash: string }).hash === hash;
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const startedAt = performance.now();
  try {
    const built = await build(process.argv.length > 2 ? process.argv.slice(2) : undefined);
    for (const { name, hash, fresh } of built) {
      console.log(`${fresh ? 'built     ' : 'up to date'} dist/${name} ${hash.slice(0, 12)}`);
    }
    console.log(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  } catch (error) {
    console.error(`build: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
