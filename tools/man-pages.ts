import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import project from '../package.json' with { type: 'json' };
import { commandTree, everyCommand } from '../sidecar/cli/command-tree.ts';
import { manualPage } from '../sidecar/cli/manual-page.ts';
import { program } from '../sidecar/cli/program.ts';
import { dist } from './build.ts';

/** Writes a manual page for each command of `countersign`; returns their paths. */
export async function writeManualPages(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const pages = everyCommand(commandTree(program()));
  return Promise.all(
    pages.map(async (node) => {
      const file = join(folder, `${node.words.join('-')}.1`);
      await writeFile(file, manualPage(node, project.version));
      return file;
    }),
  );
}

if (import.meta.main) console.log((await writeManualPages(join(dist, 'man'))).join('\n'));
