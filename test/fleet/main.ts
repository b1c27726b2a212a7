import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { glob, readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { removeCgroup } from './cgroup.ts';
import { removeFolder, runFolder } from './fleet.ts';
import { image } from './image.ts';
import { whyNot } from './preflight.ts';

/**
 * `npm run test:fleet`: the rollout on six real systemd hosts. The story itself runs in a mount and a process
 * namespace of its own: whatever happens to it, its mounts, network namespaces and processes go with it.
 */
async function main(): Promise<number> {
  const reason = await whyNot();
  if (reason !== undefined) {
    console.log(`SKIPPED: the fleet test does not run here: ${reason}`);
    console.log('0 passed, 0 failed');
    return 0;
  }
  const say = (line: string) => console.log(line);
  const rootFolder = await image(say);
  const id = `csf${randomBytes(3).toString('hex')}`;
  const folder = await runFolder();
  try {
    const status = await story(id, folder, rootFolder);
    const left = await leftBehind(id, folder);
    for (const what of left) console.log(`FAIL left behind: ${what}`);
    return left.length === 0 ? status : 1;
  } finally {
    if (!process.argv.includes('--keep')) await removeFolder(folder);
  }
}

async function story(id: string, folder: string, rootFolder: string): Promise<number> {
  const script = fileURLToPath(new URL('./story.ts', import.meta.url));
  const own = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn(
    'unshare',
    [...own, process.execPath, script, id, folder, rootFolder, ...process.argv.slice(2)],
    { stdio: 'inherit', detached: true },
  );
  // The story has a process group of its own, so that Ctrl-C reaches it once, from here, and it can tear down.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => interrupt(child.pid as number));
  }
  process.on('exit', () => child.kill('SIGKILL'));
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
