import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../build.ts';
import { type Fault, faultsIn, withFault } from './faults.ts';

/** Where a fault is a hole. */
export const securityFolders = [
  'signature',
  'policy',
  'replay',
  'keyring',
  'http1',
  'inbound',
  'outbound',
  'exchange',
  'connections',
  'admin',
];
/** A source of the product with one fault in it. */
export interface Mutant {
  readonly file: string;
  readonly source: string;
  readonly fault: Fault;
}

/** Every fault of the security folders, in a fixed order. */
export async function everyMutant(): Promise<Mutant[]> {
  const mutants: Mutant[] = [];
  for (const folder of securityFolders) {
    const files: string[] = [];
    for await (const file of glob(`sidecar/${folder}/**/*.ts`, { cwd: root })) files.push(file);
    for (const file of files.sort()) {
      if (file.endsWith('.d.ts')) continue;
      const source = await readFile(join(root, file), 'utf8');
      for (const fault of faultsIn(source)) mutants.push({ file, source, fault });
    }
  }
  return mutants;
}

/** Where the fault is and what stands there. */
export function describe(mutant: Mutant): string {
  const { file, source, fault } = mutant;
  const without =
    fault.kind === 'statement' ? `without ${source.slice(fault.start, fault.end)}` : lineWith(mutant);
  return `${file}:${fault.line} ${fault.kind}: ${without.replace(/\s+/g, ' ')}`;
}

/** The first line of the source as the fault leaves it. */
export function lineWith({ source, fault }: Mutant): string {
  const text = withFault(source, fault);
  const start = text.lastIndexOf('\n', fault.start - 1) + 1;
  const end = text.indexOf('\n', fault.start + fault.replacement.length);
  return text.slice(start, end < 0 ? undefined : end).trim();
}
