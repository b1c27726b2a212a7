import { hostname } from 'node:os';
import { Command } from 'commander';
import { ZodError } from 'zod';
import { ignoreOtherSignals } from '../../config/signals.ts';
import { duration } from '../../config/units.ts';
import { isAdminAddress } from '../fleet-reader/admin-page.ts';
import { fromOption, localAdmin } from '../fleet-reader/from.ts';
import { ownExecutable } from '../guard/executable.ts';
import { loadGatedReport } from '../guard/gated-report.ts';
import { Guard } from '../guard/guard.ts';
import { type GuardConfig, guardConfigSchema, loadGuardConfig } from '../guard/guard-config.ts';
import { watchOnce } from '../guard/once.ts';
import { openLog } from '../telemetry/log.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';

interface Options {
  readonly config?: string;
  readonly admin?: string;
  readonly gated?: string;
  readonly state?: string;
  readonly bake?: string;
  readonly metrics?: string;
  readonly webhook?: string;
  readonly once?: true;
  readonly from?: string[];
  readonly for: string;
  readonly json?: true;
}

/** `countersign guard`: takes the enforcing binary back when it breaks calls that were allowed. */
export function guardCommand(): Command {
  return new Command('guard')
    .description('Watch the local sidecar after a swap to enforcing, and swap back when it breaks calls.')
    .option('--config <file>', 'guard.yaml; without it the options below apply')
    .option('--admin <address>', 'the admin listener of the sidecar (default: 127.0.0.1:15000)')
    .option('--gated <file>', 'the gate file that allowed the swap')
    .option('--state <dir>', 'where the guard remembers the swap (default: /var/lib/countersign-guard)')
    .option('--bake <duration>', 'how long after a swap it may swap back (default: 24h)')
    .option('--metrics <file>', "write metrics for Prometheus's textfile collector")
    .option('--webhook <url>', 'gets a POST for every alarm')
    .option('--once', 'watch for a while, change nothing, and exit with 0 or 1')
    .addOption(fromOption())
    .option('--for <duration>', 'how long --once watches', '30s')
    .option('--json', 'print the findings of --once as JSON')
    .addHelpText(
      'after',
      '\nSwaps back when calls are refused that were allowed and seen before the swap: by another authorization.yaml than the\n' +
        'gated one, all calls of several callers for ten seconds, or more than 5 % of at least 100 within five minutes.\n' +
        '--once takes the URLs of admin listeners with --from.',
    )
    .action(async (options: Options) => {
      if (options.once) await once(options);
      else await watch(await configOf(options));
    });
}

async function once(options: Options): Promise<void> {
  const forMs = duration.safeParse(options.for);
  if (!forMs.success) throw new UsageError(`--for: found "${options.for}", expected a duration such as 30s`);
  const gated = options.gated ?? (options.config && (await loadGuardConfig(options.config)).gated);
  if (gated === undefined || gated === '')
    throw new UsageError('--once needs the gate file: name it with --gated');
  const urls = options.from ?? [localAdmin];
  const odd = urls.find((url) => !isAdminAddress(url));
  if (odd !== undefined)
    throw new UsageError(
      `--from ${odd}: the guard watches live sidecars, expected a URL such as ${localAdmin}`,
    );
  const findings = await watchOnce(urls, await loadGatedReport(gated), forMs.data);
  if (options.json) process.stdout.write(`${JSON.stringify({ findings }, null, 2)}\n`);
  else
    for (const { from, ok, text } of findings)
      process.stdout.write(`${from}: ${ok ? 'ok' : 'failed'}: ${text}\n`);
  process.exitCode = findings.every(({ ok }) => ok) ? exit.ok : exit.no;
}

async function configOf({
  config,
  admin,
  gated,
  state,
  bake,
  metrics,
  webhook,
}: Options): Promise<GuardConfig> {
  const flags = Object.entries({ admin, gated, state, bake, metrics, webhook }).filter(
    ([, value]) => value !== undefined,
  );
  if (config !== undefined) {
    if (flags.length > 0) throw new UsageError(`--config and --${flags[0]?.[0]}: expected one or the other`);
    return loadGuardConfig(config);
  }
  try {
    return guardConfigSchema.parse(Object.fromEntries(flags));
  } catch (error) {
    if (!(error instanceof ZodError)) throw error;
    throw new UsageError(
      error.issues.map(({ path, message }) => `--${path.join('.')}: expected ${message}`).join('; '),
    );
  }
}

async function watch(config: GuardConfig): Promise<void> {
  ignoreOtherSignals();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const { logger, end } = openLog({ service: 'guard' });
  try {
    const guard = await Guard.open({
      config,
      logger,
      host: hostname(),
      signal: stop.signal,
      executable: ownExecutable(),
    });
    await guard.run();
  } finally {
    await end();
  }
}
