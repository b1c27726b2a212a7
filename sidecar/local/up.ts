import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError } from '../../config/load.ts';
import { build, root } from '../../tools/build.ts';
import { isRunning, serveControl } from './control.ts';
import { Folder } from './folder.ts';
import { basePort, defaultBasePort } from './layout.ts';
import { LocalFleet } from './local-fleet.ts';
import { probeAll } from './probes.ts';
import { checkProjectFiles } from './project-files.ts';
import { show } from './show.ts';
import { Watch } from './watch.ts';

interface Options {
  readonly ai?: URL;
  readonly once?: true;
  readonly basePort: number;
  readonly state: string;
}

const exit = { ok: 0, no: 1, usage: 64, fault: 70, config: 78 } as const;

/** `npm run up`: the whole fleet on this machine, every sidecar logging. */
const up = new Command('npm run up --')
  .description('Start the whole fleet on this machine: sidecars, core, two sample services, Redis.')
  .option('--ai <url>', 'a model server that speaks the OpenAI API, in place of the sample', modelServer)
  .option('--once', 'start, show that everything answers, and stop')
  .option('--base-port <port>', 'the first of about 300 ports', basePort, defaultBasePort)
  .option('--state <folder>', 'where keys, data and logs are kept', join(root, '.countersign'))
  .exitOverride((error) => process.exit(error.exitCode === 0 ? exit.ok : exit.usage))
  .action(async (options: Options) => process.exit(await run(options)));

async function run({ ai, once, basePort: base, state }: Options): Promise<number> {
  const folder = new Folder(state);
  const fleet = new LocalFleet({ folder, basePort: base, ai });
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());
  const asked = new Promise<'asked'>((resolve) =>
    stopped.signal.addEventListener('abort', () => resolve('asked')),
  );
  let owns = false;
  let shown: Promise<void> | undefined;
  try {
    await checkProjectFiles();
    if (await isRunning(folder.control)) {
      throw new Error(
        `found a local fleet already running in ${state}, expected none: stop it with Ctrl-C where it runs`,
      );
    }
    owns = true;
    const started = startAll(fleet, folder);
    if ((await Promise.race([started, asked])) === 'asked') return exit.ok;
    if (once) return (await probeAll(fleet, console.log)) ? exit.ok : exit.no;
    const watch = new Watch(fleet.services, (name) => fleet.phaseOf(name));
    shown = show(fleet.services, watch, stopped.signal, () => stopped.abort(), fleet.console ?? '');
    const ended = await Promise.race([fleet.broken, asked, shown]);
    if (ended instanceof Error) throw ended;
    return exit.ok;
  } catch (error) {
    stopped.abort();
    // The terminal is given back first.
    await shown?.catch(() => {});
    console.error(`up: ${(error as Error).message}`);
    return error instanceof ConfigError ? exit.config : exit.no;
  } finally {
    stopped.abort();
    await shown?.catch(() => {});
    if (owns) await fleet.stop();
  }
}

async function startAll(fleet: LocalFleet, folder: Folder): Promise<void> {
  const built = (await build()).filter(({ fresh }) => fresh);
  for (const { name } of built) console.log(`built dist/${name}`);
  await fleet.start();
  console.log(`console: ${fleet.console}`);
  const control = await serveControl(folder.control, fleet);
  // What is asked there is answered for as long as the fleet runs; the socket alone keeps nothing running.
  control.unref();
}

function modelServer(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('Expected a URL such as http://127.0.0.1:11434.');
  }
  return url;
}

await up.parseAsync();
