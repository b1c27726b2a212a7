import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import type { Fleet } from '../config/fleet.ts';
import { fromOption } from '../fleet-reader/from.ts';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { openMatrix } from '../matrix-tools/open-matrix.ts';
import { assess } from '../readiness/assess.ts';
import { type GateInput, makeGate } from '../readiness/gate.ts';
import { loadIntended } from '../readiness/intended.ts';
import { gateProblems } from '../readiness/verify-gate.ts';
import { AnsweredNo, exit, UsageError } from '../terms/exit-codes.ts';
import { probeAppPorts } from './app-ports.ts';
import { operatorKeyringOption, readFleet } from './fleet-sources.ts';
import { defaultGateKey, openGateKey, readGateKey } from './gate-key.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';
import { reportText } from './report-text.ts';
import { printable } from './table.ts';

interface ReportOptions {
  readonly from?: string[];
  readonly keyring?: string;
  readonly authorization: string;
  readonly fleet?: string;
  readonly only?: string[];
  readonly intended?: string;
  readonly json?: true;
  readonly gate?: string;
  readonly gateKey: string;
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
    .addOption(operatorKeyringOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .option('--only <host...>', 'hosts that are to be swapped; the others may enforce already (default: all)')
    .option('--intended <file>', 'calls that may be refused, and why')
    .option('--json', 'print JSON')
    .option('--gate <file>', 'when ready, write the gate file that phase-2-enforcing.yml demands')
    .option(
      '--gate-key <file>',
      'the key of the gate files, made when missing; keep it on the control host',
      defaultGateKey,
    )
    .option(
      '--enforcing-binary <file>',
      'the executable that is to be installed (repeatable; default: countersign-enforcing beside this program, or in dist)',
      (value: string, before: string[] | undefined) => [...(before ?? []), value],
    )
    .option('--verify-gate <file>', 'check a gate file and the sidecars named with --from against it')
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
  const { matrix, fleet } = await openMatrix(options);
  if (fleet === undefined)
    throw new UsageError('the report needs fleet.yaml: found none beside the matrix, name it with --fleet');
  const intended = options.intended === undefined ? [] : await loadIntended(options.intended);
  // Before the sidecars are asked: a gate file without this could not be made.
  const enforcing = options.gate === undefined ? [] : await enforcingHashes(options.enforcingBinary);
  const states = await readFleet(options, ['status', 'observed', 'denials']);
  const readiness = assess({
    states,
    fleet,
    matrix,
    intended,
    appPorts: await probeAppPorts(fleet, states),
    hosts: hostsToSwap(options.only, fleet),
    nowMs: Date.now(),
  });
  process.stdout.write(options.json ? `${JSON.stringify(readiness, null, 2)}\n` : reportText(readiness));
  if (!readiness.ready) process.exitCode = exit.no;
  if (options.gate !== undefined)
    await writeGate(options.gate, options, { readiness, states, enforcing, matrix });
}

async function writeGate(
  file: string,
  options: ReportOptions,
  found: Pick<GateInput, 'readiness' | 'states' | 'enforcing' | 'matrix'>,
): Promise<void> {
  if (!found.readiness.ready) {
    process.stderr.write(`countersign: not ready, so ${file} was not written\n`);
    return;
  }
  const key = await openGateKey(options.gateKey);
  const gate = makeGate({ ...found, key, nowMs: Date.now() });
  await writeSecretFile(file, `${JSON.stringify(gate, null, 2)}\n`);
  process.stderr.write(`countersign: wrote ${file}, good until ${gate.expires}\n`);
}

async function verifyGate(file: string, options: ReportOptions): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new AnsweredNo(`${file}: found ${error.code}, expected a gate file made by report --gate`);
  });
  const problems = gateProblems({
    text,
    key: await readGateKey(options.gateKey),
    enforcing: await enforcingHashes(options.enforcingBinary),
    states: await readFleet(options, ['status']),
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
    `a gate file is for one executable: found no ${name} beside this program or in dist, name it with --enforcing-binary`,
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

function hostsToSwap(only: readonly string[] | undefined, fleet: Fleet): ReadonlySet<string> | undefined {
  if (only === undefined) return undefined;
  const known = new Set([...fleet.services.values()].flatMap(({ hosts }) => hosts));
  const unknown = only.filter((host) => !known.has(host));
  if (unknown.length > 0)
    throw new UsageError(
      `--only: found ${unknown.join(', ')}, expected hosts of the fleet: ${[...known].join(', ')}`,
    );
  return new Set(only);
}
