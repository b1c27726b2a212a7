import { readdir, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import { diagnose } from '../doctor/finding.ts';
import { fleetChecks } from '../doctor/fleet-checks.ts';
import { gatherFleet } from '../doctor/gather-fleet.ts';
import { gatherHost } from '../doctor/gather-host.ts';
import { hostChecks } from '../doctor/host-checks.ts';
import type { SignProbe } from '../doctor/probe-peer.ts';
import { fromOption, localAdmin } from '../fleet-reader/from.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { KeySource } from '../reload/key-source.ts';
import { hostLayout } from '../swap/layout.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';
import { probeAppPorts } from './app-ports.ts';
import { diagnosisText } from './doctor-text.ts';
import { signedHeaders } from './sign.ts';

interface DoctorOptions {
  readonly config?: string;
  readonly fleet?: string;
  readonly authorization?: string;
  readonly from?: string[];
  readonly keyring?: string;
  readonly json?: true;
}

const about = `
On a host it checks the installed sidecar; with --fleet it checks a whole fleet, from where it runs. It changes
nothing. It makes a sealed connection to every peer, and on it one call that the matrix allows: a GET or HEAD of a path
without wildcards. Exits with 1 when a check fails; warnings do not count.

Examples:
  countersign doctor
  countersign doctor --config fleet/hosts/orders@10.0.0.2/sidecar.yaml --json
  countersign doctor --fleet fleet.yaml --authorization authorization.yaml --from gathered --keyring control.json`;

/** `countersign doctor`: is everything as it should be, and if not, what to do. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check everything that a host or a fleet needs, and say what is wrong and how to fix it.')
    .addOption(
      new Option(
        '--config <file>',
        'the sidecar.yaml of this host (default: that of the version that serves)',
      ).conflicts(['fleet', 'from']),
    )
    .option('--fleet <file>', 'a fleet.yaml: look at a whole fleet')
    .option('--authorization <file>', 'with --fleet: the matrix (default: authorization.yaml beside it)')
    .addOption(fromOption())
    .option('--keyring <file>', 'with --fleet: a keyring.json to probe every host with')
    .option('--json', 'print JSON')
    .addHelpText('after', about)
    .action(async (options: DoctorOptions) => {
      const diagnosis =
        options.fleet === undefined ? await lookAtHost(options) : await lookAtFleet(options, options.fleet);
      process.stdout.write(
        options.json ? `${JSON.stringify(diagnosis, null, 2)}\n` : diagnosisText(diagnosis),
      );
      if (!diagnosis.healthy) process.exitCode = exit.no;
    });
}

async function lookAtHost({ config, from, keyring, authorization }: DoctorOptions) {
  for (const [name, value] of Object.entries({ from, keyring, authorization }))
    if (value !== undefined) throw new UsageError(`--${name}: found no --fleet, expected one beside it`);
  return diagnose(hostChecks, await gatherHost(config ?? (await installedConfig()), hostLayout, signer));
}

async function lookAtFleet(options: DoctorOptions, fleet: string) {
  const { authorization = join(fleet, '..', 'authorization.yaml'), from = [localAdmin] } = options;
  const keyring = options.keyring === undefined ? undefined : (await KeySource.open(options.keyring)).current;
  return diagnose(
    fleetChecks,
    await gatherFleet({ fleet, authorization, from, keyring }, { apps: probeAppPorts, signer }),
  );
}

function signer(keyring: Keyring): SignProbe {
  return (request) => signedHeaders(keyring, request, Date.now());
}

/** sidecar.yaml of the version that the link `current` names, or of the only one there is. */
async function installedConfig(): Promise<string> {
  const { configuration, versions } = hostLayout;
  const current = await readlink(join(versions, 'current')).catch(() => undefined);
  if (current !== undefined) return join(configuration, basename(current), 'sidecar.yaml');
  const found = await readdir(configuration).catch((): string[] => []);
  const only = found.filter((name) => /^\d/.test(name));
  if (only.length === 1) return join(configuration, only[0] as string, 'sidecar.yaml');
  throw new UsageError(
    `found no sidecar in ${versions}, expected one installed there, or --config with a sidecar.yaml, or --fleet with a fleet.yaml`,
  );
}
