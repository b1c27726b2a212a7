import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { endWithUs } from '../processes.ts';
import type { Result, Subject } from '../subject.ts';

/** A benchmark of single functions: a program of its own that prints lines `what: figures`. */
export function functionsOf(id: string, title: string, modes: Subject['modes']): Subject {
  return {
    id,
    modes,
    async run(): Promise<Result> {
      const lines = await outputOf(join(import.meta.dirname, '..', `${id}.ts`));
      const rows = lines.map((line) => {
        const [, what, figures] = /^(\S.*?)(?:: |\s{2,}| (?=[\d.]+ µs$))(.*)$/.exec(line) ?? ['', line, ''];
        return [what as string, figures as string];
      });
      return { id, table: { title, columns: ['what', ''], rows, notes: [] }, data: { lines } };
    },
  };
}

function outputOf(file: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = endWithUs(
      spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] }),
      'SIGTERM',
    );
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => {
      out += String(text);
    });
    child.stderr.on('data', (text) => {
      err += String(text);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(out.trim().split('\n'));
      else reject(new Error(`${file} ended with ${code}: ${err.trim()}`));
    });
  });
}
