import { Command, CommanderError } from 'commander';
import { destination, pino } from 'pino';
import { inheritedSockets } from '../config/inherited-sockets.ts';
import { ConfigError } from '../config/load.ts';
import { FilesError } from '../config/loading.ts';
import { thisBuild } from '../config/program.ts';
import { ignoreOtherSignals } from '../config/signals.ts';
import { loadCoreFiles } from './config/core-files.ts';
import { listenOn } from './config/listen-on.ts';
import { DatabaseError } from './database/errors.ts';
import { type MigrateOptions, migrateDeployment } from './migrate-deployment.ts';
import { startCore } from './service.ts';

/** Exit codes of sysexits.h, and one for a move that is not whole. */
const exit = { ok: 0, leftOut: 1, usage: 64, fault: 70, config: 78 } as const;

ignoreOtherSignals();
const { version } = thisBuild();
const program = new Command('countersign-core')
  .description('The core service: chat with session memory, and conversation files.')
  .version(version)
  .option('--config <file>', 'core.yaml')
  .allowExcessArguments(false)
  .exitOverride()
  .action(({ config }: { config?: string }) => {
    if (config === undefined) {
      const code = 'commander.missingMandatoryOptionValue';
      return program.error("error: required option '--config <file>' not specified", { exitCode: 1, code });
    }
    return run(config);
  });

program
  .command('migrate')
  .description(
    'Move a deployment from SQLite to PostgreSQL. Can be interrupted and run again; stop the core services first.',
  )
  .requiredOption('--from <sqlite:PATH>', 'the database to move')
  .requiredOption('--to <URL>', 'where to: postgres://USER@HOST:PORT/DATABASE')
  .option('--password-file <file>', 'the password of that user')
  .option('--ca-file <file>', "the CA that signed the server's certificate")
  .option('--files <folder>', 'also move the contents of files from this folder into the database')
  .exitOverride()
  .action(async (options: MigrateOptions) => {
    const lines = migrateDeployment(options);
    let line = await lines.next();
    for (; line.done !== true; line = await lines.next()) process.stdout.write(`${line.value}\n`);
    if (line.value > 0) process.exitCode = exit.leftOut;
  });

program.parseAsync().catch((error: unknown) => {
  process.exitCode = report(error);
});

async function run(file: string): Promise<void> {
  const { config, models } = await loadCoreFiles(file);
  // Asynchronous: a slow reader of the log must not block the event loop.
  const sink = destination({ dest: 1, sync: false });
  const log = pino({ base: { service: 'core', pid: process.pid } }, sink);
  const on = listenOn(file, config.listen, inheritedSockets(process.env, process.pid));
  const service = await startCore(config, models, log, version, on);
  const { address, port } = service.address;
  log.info({ address, port, inherited: 'fd' in on, version }, 'listening');
  if (port !== config.listen.port || address !== config.listen.host) {
    log.warn(
      { listen: config.listen },
      'listening on the socket of systemd, whose address is another than in core.yaml',
    );
  }

  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  log.info('stopping');
  await service.close();
  log.info('stopped');
  sink.flushSync();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exit.ok : exit.usage;
  if (error instanceof FilesError || error instanceof ConfigError || error instanceof DatabaseError) {
    process.stderr.write(`${error.message}\n`);
    return exit.config;
  }
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  process.stderr.write(
    `countersign-core: ${syscall === 'listen' && code === 'EADDRINUSE' ? `${message}: stop what listens there, or change listen in core.yaml` : ((error as Error).stack ?? message)}\n`,
  );
  return exit.fault;
}
