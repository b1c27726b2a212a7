import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Found } from '../core/report.ts';
import { endWithUs, pinned } from '../processes.ts';
import type { Result, Subject } from '../subject.ts';

const program = join(import.meta.dirname, '../core.ts');

/** The core service: a program of its own, on all cores, since several threads and processes work on each turn. */
export const core: Subject = {
  id: 'core',
  modes: ['full'],
  async run({ stage, say }): Promise<Result> {
    const all = stage.cores.measured === undefined ? undefined : `0-${cpus().length - 1}`;
    const [command, words] = pinned(all, process.execPath, [program]);
    const child = endWithUs(spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'] }), 'SIGTERM');
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    let last = '';
    for await (const line of createInterface({ input: child.stdout! })) {
      last = line;
      if (!line.startsWith('{')) say(line);
    }
    const code = await exit;
    if (code !== 0) throw new Error(`${program} ended with ${code}`);
    const { rows, targets } = JSON.parse(last) as Found;
    return {
      id: 'core',
      table: {
        title: `The core service, ${cpus().length} cores for it, its model server, Redis and database together`,
        columns: ['what', 'measured', ''],
        rows: rows.map(({ what, value, note }) => [what, value, note]),
        notes: [],
        targets,
      },
      data: { rows },
    };
  },
};
