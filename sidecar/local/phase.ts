import { join } from 'node:path';
import { Command, Option } from 'commander';
import { root } from '../../tools/build.ts';
import { askForPhase } from './control.ts';
import { Folder } from './folder.ts';
import type { Phase } from './local-sidecar.ts';

/** `npm run phase enforcing`: swaps the binary of every sidecar of the running local fleet. */
const phase = new Command('npm run phase')
  .description('Swap the binary of every sidecar of the running local fleet, refusing and breaking no call.')
  .argument('<phase>', 'logging or enforcing', choice)
  .addOption(
    new Option('--state <folder>', 'of the fleet that npm run up --state started').default(
      join(root, '.countersign'),
    ),
  )
  .action(async (wanted: Phase, { state }: { state: string }) => {
    await askForPhase(new Folder(state).control, wanted, ({ service, phase: now, ms, error }) => {
      if (error === undefined)
        console.log(`${service.padEnd(14)} ${now} (swapped in ${(ms ?? 0).toFixed(0)} ms)`);
      else console.log(`${service.padEnd(14)} still ${now}: ${error}`);
      if (error !== undefined) process.exitCode = 1;
    });
  });

function choice(word: string): Phase {
  if (word === 'logging' || word === 'enforcing') return word;
  return phase.error(`found the phase "${word}", expected logging or enforcing`, { exitCode: 64 });
}

try {
  await phase.parseAsync();
} catch (error) {
  console.error(`phase: ${(error as Error).message}`);
  process.exitCode = 1;
}
