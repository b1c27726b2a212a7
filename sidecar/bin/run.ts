import { setTimeout as delay } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { inheritedSockets } from '../../config/inherited-sockets.ts';
import { ConfigError } from '../../config/load.ts';
import { FilesError } from '../../config/loading.ts';
import { type Build, thisBuild } from '../../config/program.ts';
import { ignoreOtherSignals } from '../../config/signals.ts';
import { ListenError } from '../listen/bind.ts';
import { listenPlans } from '../listen/listen-plan.ts';
import type { KeySource } from '../reload/key-source.ts';
import type { PolicySource } from '../reload/policy-source.ts';
import { loadSidecarFiles } from '../reload/sidecar-files.ts';
import { openState, type State } from '../replay/state.ts';
import { StateError } from '../replay/state-error.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { ObservedStore } from '../telemetry/observed-store.ts';
import { exit } from '../terms/exit-codes.ts';
import type { Binary } from './binary.ts';
import { Sidecar } from './sidecar.ts';

/**
 * Runs a sidecar binary: configuration, build, bind, drain. What the binary does with a verdict is in the function
 * that it passes; nothing that is read here can change that.
 */
export async function runSidecar(binary: Binary): Promise<void> {
  ignoreOtherSignals();
  const build = thisBuild();
  const program = new Command(`countersign-${binary.phase}`)
    .description(`The ${binary.phase} sidecar of one service on one host.`)
    .version(build.version)
    .requiredOption('--config <file>', 'sidecar.yaml')
    .allowExcessArguments(false)
    .exitOverride()
    .action(({ config }: { config: string }) => start(binary, build, config));
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error, binary);
  }
}

async function start(binary: Binary, build: Build, file: string): Promise<void> {
  const { sidecar: loaded, policy, keys } = await loadSidecarFiles(file);
  const { config } = loaded;
  const sockets = inheritedSockets(process.env, process.pid);
  const plans = listenPlans(file, config, sockets);

  const { phase } = binary;
  const log = openLog({ service: config.service, phase, version: build.version });
  const { logger } = log;
  const onFault = (error: Error) => {
    logger.fatal({ event: 'own-fault', err: error }, 'a fault of our own; the sidecar stops');
    void log.end().finally(() => process.exit(exit.fault));
  };
  process.on('uncaughtException', onFault);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort(signal));

  logger.info({ event: 'waiting', state: config.state }, 'waiting for the state lock');
  const state = await openState(config.state, {
    kids: keys.current.inbound.keys(),
    report: (error) => logger.error({ event: 'mark-not-written', err: error }, error.message),
    signal: stop.signal,
  }).catch((error: unknown) => {
    if (stop.signal.aborted) return undefined;
    throw error;
  });
  if (state === undefined) {
    await log.end();
    return;
  }
  const observed = await ObservedStore.open({ directory: config.state, phase, logger });
  const parts = { binary, build, config, logger, policy, keys, state, observed, sockets, plans, onFault };
  const sidecar = new Sidecar(parts);
  try {
    await sidecar.listen();
  } catch (error) {
    await state.handOver().catch(() => {});
    await log.end();
    throw error;
  }
  follow(sidecar, policy, keys, log);
  if (await settled(state, log, stop.signal)) {
    sidecar.becomeReady();
    logger.info({ event: 'ready', origin: state.origin, pid: process.pid, build: build.hash }, 'ready');
  }
  await new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    else stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  logger.info({ event: 'draining', signal: String(stop.signal.reason) }, 'draining');
  policy.close();
  keys.close();
  await sidecar.drain();
  logger.info({ event: 'stopped' }, 'stopped');
  await log.end();
  process.exit(exit.ok);
}

/** Waits until callers with a right clock are accepted; false when the process is told to stop before. */
async function settled(state: State, { logger }: Log, signal: AbortSignal): Promise<boolean> {
  const ms = state.settlesAtMs - Date.now();
  if (ms > 0) {
    logger.warn(
      { event: 'no-marks', ms },
      'the state directory was empty: what was accepted before is unknown, so calls signed up to now are refused',
    );
    await delay(ms, undefined, { signal }).catch(() => {});
  }
  return !signal.aborted;
}

/** Reloads on SIGHUP and when a file changes; what is wrong is logged and changes nothing. */
function follow(sidecar: Sidecar, policy: PolicySource, keys: KeySource, { logger }: Log): void {
  const reloadPolicy = () =>
    policy.reload().then(
      async (changed) => {
        if (!changed) return;
        await sidecar.onPolicy();
        const { fleet, matrix } = policy.current;
        logger.info(
          { event: 'policy-reloaded', matrix: matrix.hash, fleet: fleet.hash },
          'new matrix and fleet in force',
        );
      },
      (error: unknown) => {
        logger.error(
          { event: 'policy-refused', problem: (error as Error).message },
          'the new matrix or fleet is refused; the old ones stay in force',
        );
      },
    );
  const refused = (error: unknown) =>
    logger.error(
      { event: 'keyring-refused', problem: (error as Error).message },
      'the new keyring is refused; the old one stays in force',
    );
  policy.watch(() => void reloadPolicy());
  keys.watch({
    onChange: (keyring) => {
      sidecar
        .onKeyring(keyring)
        .then(
          () => logger.info({ event: 'keyring-reloaded', issue: keyring.issue }, 'new keyring in force'),
          refused,
        );
    },
    onRefused: refused,
  });
  const reload = () => {
    sidecar.reopenAccessLog();
    void reloadPolicy();
    keys.reload().catch(refused);
  };
  process.on('SIGHUP', reload);
  // What changed while we waited for the state lock.
  reload();
}

function report(error: unknown, { phase }: Binary): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exit.ok : exit.usage;
  if (
    error instanceof FilesError ||
    error instanceof ConfigError ||
    error instanceof ListenError ||
    error instanceof StateError
  ) {
    process.stderr.write(`${error.message}\n`);
    return exit.config;
  }
  const { syscall, code, message, stack } = error as NodeJS.ErrnoException;
  if (syscall === 'listen' || syscall === 'bind') {
    process.stderr.write(
      `${message}: ${code === 'EADDRINUSE' ? 'stop what listens there' : 'look at the address'}, or change it in sidecar.yaml\n`,
    );
    return exit.config;
  }
  process.stderr.write(`countersign-${phase}: ${stack ?? message}\n`);
  return exit.fault;
}
