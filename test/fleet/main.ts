import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { glob, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../../tools/build.ts';
import { removeCgroup } from './cgroup.ts';
import { removeFolder, runFolder } from './fleet.ts';
import { image } from './image.ts';
import { whyNot } from './preflight.ts';
import { stories } from './stories.ts';

const usage = `npm run test:fleet -- [--story NAME]… [--stay] [--in FOLDER] [--keep]
  --story NAME  tell this story only (repeatable), of ${Object.keys(stories).join(', ')}
  --stay        boot the hosts and leave them up until Ctrl-C; tell no story
  --in FOLDER   tell the stories on hosts that stay up
  --keep        leave the run's folder, with the logs of its plays`;

const own = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
const script = fileURLToPath(new URL('./story.ts', import.meta.url));

/**
 * `npm run test:fleet`: the rollout on six real systemd hosts. The story itself runs in a mount and a process
 * namespace of its own: whatever happens to it, its mounts, network namespaces and processes go with it.
 */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      story: { type: 'string', multiple: true },
      stay: { type: 'boolean' },
      in: { type: 'string' },
      keep: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  const unknown = values.story?.find((name) => !(name in stories));
  if (values.help || unknown !== undefined) {
    console.log(unknown === undefined ? usage : `found no story ${unknown}\n${usage}`);
    return unknown === undefined ? 0 : 64;
  }
  const reason = await whyNot();
  if (reason !== undefined) {
    console.log(`FAIL the fleet test can't run here: ${reason}`);
    console.log('0 passed, 1 failed');
    return 1;
  }
  const say = (line: string) => console.log(line);
  for (const { name, fresh } of await build()) if (fresh) say(`built dist/${name}`);
  if (values.in !== undefined) return tellIn(values.in, values.story ?? []);
  const rootFolder = await image(say);
  const id = `csf${randomBytes(3).toString('hex')}`;
  const folder = await runFolder();
  try {
    const status = await story(id, folder, rootFolder, values.stay ? ['--stay'] : (values.story ?? []));
    const left = await leftBehind(id, folder);
    for (const what of left) console.log(`FAIL left behind: ${what}`);
    return left.length === 0 ? status : 1;
  } finally {
    if (!values.keep) await removeFolder(folder);
  }
}

async function story(
  id: string,
  folder: string,
  rootFolder: string,
  words: readonly string[],
): Promise<number> {
  const child = spawn('unshare', [...own, process.execPath, script, id, folder, rootFolder, ...words], {
    stdio: 'inherit',
    detached: true,
  });
  await writeFile(join(folder, 'holder.pid'), String(child.pid));
  // The story has a process group of its own, so that Ctrl-C reaches it once, from here, and it can tear down.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => interrupt(child.pid as number));
  }
  process.on('exit', () => child.kill('SIGKILL'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Tells stories in the namespaces of hosts that stay up. */
async function tellIn(folder: string, names: readonly string[]): Promise<number> {
  const unshare = (await readFile(join(folder, 'holder.pid'), 'utf8')).trim();
  const inner = (await readFile(`/proc/${unshare}/task/${unshare}/children`, 'utf8')).trim().split(' ')[0];
  const enter = ['--target', String(inner), '--mount', '--pid', '--', process.execPath, script];
  const child = spawn('nsenter', [...enter, '--in', folder, ...names], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Asks the story to tear down; a second Ctrl-C ends it at once, and everything with it. */
let asked = false;
function interrupt(group: number): void {
  process.kill(-group, asked ? 'SIGKILL' : 'SIGTERM');
  asked = true;
}

/** What of a run outlived it: mounts, network namespaces, processes. Its cgroups are removed here. */
async function leftBehind(id: string, folder: string): Promise<string[]> {
  const left: string[] = [];
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    if (line.includes(folder) || line.includes(`/netns/${id}`)) left.push(`mount ${line}`);
  }
  for await (const name of glob(`/run/netns/${id}-*`)) {
    // Only the mount point: the namespace itself went with the story's mounts.
    await rm(name, { force: true });
  }
  for await (const file of glob('/proc/[0-9]*/cgroup')) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.includes(`/${id}-`)) left.push(`process ${file.split('/')[2]}`);
  }
  const groups: string[] = [];
  for await (const group of glob(`/sys/fs/cgroup/{,systemd/,unified/,memory/,pids/}${id}-*`))
    groups.push(group);
  return [...left, ...(await removeCgroup(groups)).map((group) => `cgroup ${group}`)];
}

process.exitCode = await main();
