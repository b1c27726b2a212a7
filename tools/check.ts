import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { root } from './build.ts';

const tools = [
  { name: 'types', program: 'tsc', words: ['--noEmit'] },
  { name: 'types of the console page', program: 'tsc', words: ['--noEmit', '-p', 'sidecar/console/web'] },
  { name: "types of the core's page", program: 'tsc', words: ['--noEmit', '-p', 'core/console/web'] },
  // Format, lint, and which folder may import which (biome.json).
  {
    name: 'format, lint and dependency direction',
    program: 'biome',
    words: ['check', '--error-on-warnings', '.'],
  },
  { name: 'dead code', program: 'knip', words: [] },
];

/** `npm run check`: everything that can be said about the code without running it. */
async function main(): Promise<number> {
  const results = await Promise.all(
    tools.map(async ({ name, program, words }) => {
      const tool = spawn(process.execPath, [`node_modules/.bin/${program}`, ...words], { cwd: root });
      let output = '';
      for (const stream of [tool.stdout, tool.stderr]) stream.on('data', (chunk) => (output += chunk));
      const [code] = (await once(tool, 'close')) as [number | null];
      return { name, passed: code === 0, output };
    }),
  );
  for (const { name, passed, output } of results) {
    console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}`);
    if (!passed) console.log(output.trimEnd());
  }
  const failed = results.filter((result) => !result.passed).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
