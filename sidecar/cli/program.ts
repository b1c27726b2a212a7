import { Command, CommanderError } from 'commander';
import { ConfigError } from '../../config/load.ts';
import { thisBuild } from '../../config/program.ts';
import { DeliveryError, KeySourceError, RegistryError } from '../keyring/errors.ts';
import { AnsweredNo, exit, UsageError } from '../terms/exit-codes.ts';
import { callCommand } from './call.ts';
import { checkCommand } from './check.ts';
import { completionCommand } from './completion.ts';
import { consoleCommand } from './console.ts';
import { doctorCommand } from './doctor.ts';
import { edgesCommand } from './edges.ts';
import { guardCommand } from './guard.ts';
import { initCommand } from './init.ts';
import { keysCommand } from './keys.ts';
import { matrixCommand } from './matrix.ts';
import { reportCommand } from './report.ts';
import { routesCommand } from './routes.ts';
import { signCommand } from './sign.ts';
import { swapCommand } from './swap.ts';
import { tapCommand } from './tap.ts';
import { topCommand } from './top.ts';
import { verifyCommand } from './verify.ts';
import { versionCommand } from './version.ts';
import { whyCommand } from './why.ts';

/** The command line `countersign`: one subcommand a file. */
export function program(): Command {
  const countersign = new Command('countersign')
    .description('Authentication for the calls between services on a small fleet of VMs.')
    .version(thisBuild().version)
    .showHelpAfterError('(countersign --help, or countersign COMMAND --help, says more)')
    .addHelpText(
      'after',
      '\nExit codes: 0 yes or ok, 1 no, 64 wrong usage, 70 internal error, 78 bad configuration.',
    );
  // One a line: they come and go one by one.
  const commands = [
    callCommand,
    checkCommand,
    completionCommand,
    consoleCommand,
    doctorCommand,
    edgesCommand,
    guardCommand,
    initCommand,
    keysCommand,
    matrixCommand,
    reportCommand,
    routesCommand,
    signCommand,
    swapCommand,
    tapCommand,
    topCommand,
    verifyCommand,
    versionCommand,
    whyCommand,
  ];
  for (const command of commands) countersign.addCommand(command());
  inherit(countersign);
  return countersign;
}

/** Runs the command line; the process exits with what `process.exitCode` says then. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe (`| head`) has seen enough.
    if (error.code === 'EPIPE') process.exit(exit.ok);
    throw error;
  });
  try {
    await program().parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** commander hands settings on only to subcommands made with `.command()`. */
function inherit(parent: Command): void {
  parent.exitOverride();
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent);
    inherit(child);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exit.ok : exit.usage;
  const known = exitOf(error);
  if (known !== undefined) {
    process.stderr.write(`${prefixed((error as Error).message)}\n`);
    return known;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`countersign: a fault of its own, please report it:\n${text}\n`);
  return exit.fault;
}

function exitOf(error: unknown): number | undefined {
  if (error instanceof UsageError) return exit.usage;
  if (error instanceof AnsweredNo || error instanceof RegistryError || error instanceof DeliveryError)
    return exit.no;
  if (error instanceof ConfigError || error instanceof KeySourceError) return exit.config;
  return undefined;
}

function prefixed(message: string): string {
  return message
    .split('\n')
    .map((line) => `countersign: ${line}`)
    .join('\n');
}
