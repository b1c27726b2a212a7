import { execFileSync } from 'node:child_process';
import t from 'tap';
import { commandTree, everyCommand } from '../../../sidecar/cli/command-tree.ts';
import { manualPage } from '../../../sidecar/cli/manual-page.ts';
import { program } from '../../../sidecar/cli/program.ts';

t.test('every command has a manual page that groff formats without a warning', async (t) => {
  for (const node of everyCommand(commandTree(program()))) {
    const page = manualPage(node, '1.2.3');
    const shown = execFileSync('groff', ['-man', '-Tascii', '-ww', '-P-cbou'], {
      input: page,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    t.match(shown, 'EXIT STATUS', node.words.join(' '));
    for (const { name } of node.options) t.ok(shown.includes(name), `${node.words.join(' ')} ${name}`);
  }
});

t.test('what roff would take for its own stands as it is', async (t) => {
  const node = {
    words: ['countersign', 'x'],
    description: ".starts with a dot, 'quotes' and a \\ in it.",
    usage: '[options]',
    options: [],
    commands: [],
  };
  const text = execFileSync('groff', ['-man', '-Tascii', '-P-cbou'], {
    input: manualPage(node, '1'),
    encoding: 'utf8',
  });
  t.match(text, ".starts with a dot, 'quotes' and a \\ in it.");
});
