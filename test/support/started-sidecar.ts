import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { dist } from '../../tools/build.ts';
import { leaveSettledState } from '../../tools/settled-state.ts';
import { freePorts } from './sidecar-process.ts';
import { tempFolder } from './temp-folder.ts';
import { type Files, goodFiles, type Ports } from './wrong-files.ts';

/** The enforcing sidecar of npu-worker with the files of `goodFiles`. */
export interface StartedSidecar {
  readonly folder: string;
  readonly ports: Ports;
  readonly child: ChildProcess;
  /** What it has written so far, log and errors. */
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

export async function sidecarFolder(
  t: Test,
  change: (files: Files, ports: Ports) => Files = (files) => files,
): Promise<{ folder: string; ports: Ports }> {
  const [outbound, inbound, admin, app, route] = (await freePorts(5)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const ports = { outbound, inbound, admin, app, route };
  const folder = await tempFolder(t);
  for (const [name, text] of Object.entries(change(goodFiles(ports), ports)))
    await writeFile(join(folder, name), text, { mode: 0o600 });
  const state = join(folder, 'state');
  if (!existsSync(state)) await leaveSettledState(state);
  return { folder, ports };
}

/** Starts the built binary; resolves when it is ready, or has ended. */
export async function startBuilt(
  t: Test,
  { folder, ports }: { folder: string; ports: Ports },
  env: Readonly<Record<string, string>> = {},
  words: readonly string[] = [],
): Promise<StartedSidecar> {
  const child = spawn(
    join(dist, 'countersign-enforcing'),
    [...words, '--config', join(folder, 'sidecar.yaml')],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH ?? '', ...env } },
  );
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  await new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('"event":"ready"')) resolve();
      });
    void exited.then(() => resolve());
  });
  return { folder, ports, child, output: () => output, exited };
}

/** Ports on which a process listens, of its TCP sockets. */
export async function listeningPorts(pid: number): Promise<number[]> {
  const fds = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')),
  );
  const listening = tables.flatMap((table) =>
    table
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]))
      .map((fields) => Number.parseInt((fields[1] as string).split(':')[1] as string, 16)),
  );
  return [...new Set(listening)].sort((a, b) => a - b);
}
