import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { duration } from '../../config/units.ts';
import { fromOption, readFrom } from '../fleet-reader/from.ts';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { assess, type Readiness } from '../readiness/assess.ts';
import { longestGateMs, makeGate } from '../readiness/gate.ts';
import { loadIntended } from '../readiness/intended.ts';
import { gateProblems } from '../readiness/verify-gate.ts';
import type { HostState } from '../telemetry/documents.ts';
import { AnsweredNo, exit, UsageError } from '../terms/exit-codes.ts';
import { probeAppPorts } from './app-ports.ts';
import { defaultGateKey, openGateKey, readGateKey } from './gate-key.ts';
import { authorizationOption, fleetOption, openMatrix } from './matrix-files.ts';
import { reportText } from './report-text.ts';
import { printable } from './table.ts';

const dayMs = 24 * 3600 * 1000;

interface ReportOptions {
  readonly from?: string[];
  readonly authorization: string;
  readonly fleet?: string;
  readonly minDuration: number;
  readonly intended?: string;
  readonly json?: true;
  readonly gate?: string;
  readonly gateKey: string;
  readonly gateDuration: number;
  readonly enforcingBinary?: string[];
  readonly verifyGate?: string;
}

/** `countersign report`: is the fleet ready to enforce? Exits with 0 only when it is. */
export function reportCommand(): Command {
  return new Command('report')
    .description(
      'Say from what was recorded whether the fleet is ready to enforce. Exits with 0 only when it is.',
    )
    .addOption(fromOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .addOption(
      new Option('--min-duration <duration>', 'logging wanted of every sidecar')
        .default(dayMs, '24h')
        .argParser(parseDuration),
    )
    .option('--intended <file>', 'calls that may be refused, and why')
    .option('--json', 'print JSON')
    .option('--gate <file>', 'when ready, write the go file that phase-2-enforcing.yml demands')
    .option(
      '--gate-key <file>',
      'the key of the go files, made when missing; keep it on the control host',
      defaultGateKey,
    )
    .addOption(
      new Option('--gate-duration <duration>', 'how long the go file is good for, at most 24h')
        .default(longestGateMs, '24h')
        .argParser(parseDuration),
    )
    .option(
      '--enforcing-binary <file>',
      'the executable that is to be installed (repeatable; default: countersign-enforcing beside this program, or in dist)',
      (value: string, before: string[] | undefined) => [...(before ?? []), value],
    )
    .option('--verify-gate <file>', 'check a go file and the sidecars named with --from against it')
    .addHelpText(
      'after',
      '\nThe file of --intended:\n  intended:\n    - { callee: npu-worker, request: "GET /metrics", reason: missing-signature, why: a scanner }',
    )
    .action(async (options: ReportOptions) => {
      if (options.verifyGate !== undefined) await verifyGate(options.verifyGate, options);
      else await report(options);
    });
}

async function report(options: ReportOptions): Promise<void> {
  if (options.gateDuration > longestGateMs) throw new UsageError('--gate-duration: expected 24h at most');
  const { matrix, fleet } = await openMatrix(options);
  if (fleet === undefined)
    throw new UsageError('the report needs fleet.yaml: found none beside the matrix, name it with --fleet');
  const intended = options.intended === undefined ? [] : await loadIntended(options.intended);
  // Before the sidecars are asked: a go file without this could not be made.
  const enforcing = options.gate === undefined ? [] : await enforcingHashes(options.enforcingBinary);
  const states = await readFrom(options.from);
  const readiness = assess({
    states,
    fleet,
    matrix,
    intended,
    appPorts: await probeAppPorts(fleet, states),
    minLoggingMs: options.minDuration,
    nowMs: Date.now(),
  });
  process.stdout.write(options.json ? `${JSON.stringify(readiness, null, 2)}\n` : reportText(readiness));
  if (!readiness.ready) process.exitCode = exit.no;
  if (options.gate !== undefined) await writeGate(options.gate, options, readiness, states, enforcing);
}

async function writeGate(
  file: string,
  options: ReportOptions,
  readiness: Readiness,
  states: readonly HostState[],
  enforcing: readonly string[],
): Promise<void> {
  if (!readiness.ready) {
    process.stderr.write(`countersign: not ready, so ${file} was not written\n`);
    return;
  }
  const key = await openGateKey(options.gateKey);
  const gate = makeGate({
    readiness,
    states,
    enforcing,
    key,
    goodForMs: options.gateDuration,
    nowMs: Date.now(),
  });
  await writeSecretFile(file, `${JSON.stringify(gate, null, 2)}\n`);
  process.stderr.write(`countersign: wrote ${file}, good until ${gate.expires}\n`);
}

async function verifyGate(file: string, options: ReportOptions): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new AnsweredNo(`${file}: found ${error.code}, expected a go file made by report --gate`);
  });
  const problems = gateProblems({
    text,
    key: await readGateKey(options.gateKey),
    enforcing: await enforcingHashes(options.enforcingBinary),
    states: await readFrom(options.from, ['status']),
    nowMs: Date.now(),
  });
  if (options.json)
    process.stdout.write(`${JSON.stringify({ go: problems.length === 0, problems }, null, 2)}\n`);
  else if (problems.length === 0) process.stdout.write(`${file}: go\n`);
  else process.stdout.write(`${problems.map((each) => `${file}: ${printable(each)}`).join('\n')}\n`);
  if (problems.length > 0) process.exitCode = exit.no;
}

async function enforcingHashes(files: readonly string[] | undefined): Promise<string[]> {
  return Promise.all((files ?? [await builtBinary()]).map(fileHash));
}

async function builtBinary(): Promise<string> {
  const name = 'countersign-enforcing';
  for (const file of [join(dirname(process.execPath), name), join('dist', name)])
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  throw new UsageError(
    `a go file is for one executable: found no ${name} beside this program or in dist, name it with --enforcing-binary`,
  );
}

async function fileHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    throw new UsageError(
      `--enforcing-binary ${file}: found ${(error as NodeJS.ErrnoException).code}, expected a readable executable`,
    );
  }
  return hash.digest('hex');
}

function parseDuration(text: string): number {
  const parsed = duration.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`expected ${parsed.error.issues[0]?.message}`);
}
