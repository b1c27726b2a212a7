import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { build } from '../../tools/build.ts';
import { writeDemoFiles } from './demo-files.ts';
import { DemoStage } from './demo-stage.ts';
import { playDemo } from './demo-story.ts';
import { Folder } from './folder.ts';
import { basePort } from './layout.ts';
import { LocalFleet } from './local-fleet.ts';

interface Options {
  readonly yes?: true;
  readonly basePort: number;
}

/** Beside those of `npm run up`, which may run at the same time. */
const demoBasePort = 17_000;

/** `npm run demo`: plays a rollout, step by step, on a fleet of its own that is gone afterwards. */
const demo = new Command('npm run demo --')
  .description(
    'Play a rollout on this machine: a missing rule, the report, enforcing, a mistake, the way back.',
  )
  .option('--yes', 'do not wait for Enter before each step')
  .option('--base-port <port>', 'the first of about 300 ports', basePort, demoBasePort)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 64))
  .action(async (options: Options) => process.exit(await run(options)));

async function run({ yes, basePort: base }: Options): Promise<number> {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());
  const top = await mkdtemp(join(tmpdir(), 'countersign-demo-'));
  let fleet: LocalFleet | undefined;
  try {
    const folder = new Folder(join(top, 'config'), await writeDemoFiles(top));
    console.log('Starting three services with their sidecars …');
    await build();
    stopped.signal.throwIfAborted();
    fleet = new LocalFleet({ folder, basePort: base });
    const started = fleet;
    stopped.signal.addEventListener('abort', () => void started.stop());
    await fleet.start();
    console.log(`The console, to watch all of it in a browser: ${fleet.console}`);
    const waits = yes === undefined && process.stdin.isTTY;
    const stage = new DemoStage({ folder: top, waits, signal: stopped.signal });
    const broken = fleet.broken.then((error) => Promise.reject(error));
    await Promise.race([playDemo(fleet, folder, stage), broken]);
    await stage.enter('Enter: end the demo');
    console.log(
      '\nNext: npm run up keeps such a fleet running; docs/getting-started.md protects your own services.',
    );
    return 0;
  } catch (error) {
    if (stopped.signal.aborted) return 0;
    console.error(`demo: ${(error as Error).message}`);
    return 1;
  } finally {
    await fleet?.stop();
    await rm(top, { recursive: true, force: true });
  }
}

await demo.parseAsync();
