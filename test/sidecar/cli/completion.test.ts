import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { commandTree } from '../../../sidecar/cli/command-tree.ts';
import { completionScript } from '../../../sidecar/cli/completion.ts';
import { program } from '../../../sidecar/cli/program.ts';

const tree = commandTree(program());
const file = join(t.testdir(), 'countersign.bash');
await writeFile(file, completionScript('bash', tree));

/** What bash offers behind these words. */
function offered(...words: string[]): string[] {
  const line = ['countersign', ...words].map((word) => `'${word}'`).join(' ');
  const script = `source ${file}; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _countersign; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
}

t.test('bash completes commands, subcommands, options and the values of an option', async (t) => {
  for (const name of ['check', 'completion', 'init']) t.ok(offered('').includes(name), name);
  t.same(offered('wh'), ['why']);
  t.ok(offered('keys', '').includes('rotate'));
  t.ok(offered('keys', 'rotate', '--fl').includes('--fleet'));
  t.same(offered('why', '--js'), ['--json']);
});

t.test('fish and zsh get scripts that name every command', async (t) => {
  for (const shell of ['fish', 'zsh'] as const) {
    const script = completionScript(shell, tree);
    for (const { words } of tree.commands)
      t.ok(script.includes(words.at(-1) as string), `${shell}: ${words.join(' ')}`);
  }
});
