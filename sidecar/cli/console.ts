import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { isLocal, type ListenAddress, parseListenAddress } from '../../config/address.ts';
import { ignoreOtherSignals } from '../../config/signals.ts';
import { FleetWatch } from '../console/fleet-watch.ts';
import { readMetricsToken } from '../console/metrics-token.ts';
import { type PageFile, startConsole } from '../console/server.ts';
import type { Policy, Sources } from '../console/sources.ts';
import { adminPage, isAdminAddress } from '../fleet-reader/admin-page.ts';
import type { FleetReader } from '../fleet-reader/fleet-reader.ts';
import { fromOption } from '../fleet-reader/from.ts';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { type MatrixFiles, openMatrix } from '../matrix-tools/open-matrix.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { probeAppPorts } from './app-ports.ts';
import { readAsset } from './assets.ts';
import { openFleetReader, operatorKeyringOption } from './fleet-sources.ts';
import { authorizationOption, fleetOption } from './matrix-files.ts';
import { printable } from './table.ts';

interface ConsoleCommandOptions extends MatrixFiles {
  readonly from?: string[];
  readonly keyring?: string;
  readonly listen: ListenAddress;
  readonly metricsTokenFile?: string;
  readonly linkFile?: string;
}

const defaultListen = '127.0.0.1:15080';
const readLimitMs = 5_000;

/** `countersign console`: the fleet in a browser. */
export function consoleCommand(): Command {
  return new Command('console')
    .description(
      'Show the fleet in a browser: a read-only page on this machine, live. Prints the link to open.',
    )
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .addOption(authorizationOption())
    .addOption(fleetOption())
    .addOption(
      new Option('--listen <address>', 'a loopback address, or unix:PATH')
        .argParser(listenAddress)
        .default(listenAddress(defaultListen), defaultListen),
    )
    .option(
      '--metrics-token-file <file>',
      'a token for Prometheus, good for /hosts alone; the file is made when missing',
    )
    .option('--link-file <file>', 'write the link there (mode 0600) in place of printing it')
    .addHelpText(
      'after',
      '\nThe link carries a token that is made at each start; without it the page shows nothing. From another machine:\n' +
        'ssh -L 15080:127.0.0.1:15080 HOST',
    )
    .action(serve);
}

function listenAddress(text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (address !== undefined && isLocal(address)) return address;
  throw new InvalidArgumentError('Expected a loopback address such as 127.0.0.1:15080, or unix:PATH.');
}

async function serve(options: ConsoleCommandOptions): Promise<void> {
  ignoreOtherSignals();
  const stop = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  const token = randomBytes(32).toString('base64url');
  const metrics =
    options.metricsTokenFile === undefined ? undefined : await readMetricsToken(options.metricsTokenFile);
  const reader = await openFleetReader(options);
  const sources = sourcesOf(options, reader);
  const watch = new FleetWatch({
    sources,
    onError: ({ message }) => process.stderr.write(`countersign: ${printable(message)}\n`),
  });
  // What is wrong with the files is told before the address is taken.
  await sources.openPolicy();
  const server = await startConsole({
    listen: options.listen,
    tokens: { console: token, metrics },
    page: pageFiles(),
    watch,
    sources,
  });
  const link = 'path' in options.listen ? `#token=${token}` : `http://${server.address}/#token=${token}`;
  if (options.linkFile === undefined) process.stdout.write(`${link}\n`);
  else await writeSecretFile(options.linkFile, `${link}\n`);
  process.stderr.write(`console: listening on ${server.address}\n`);
  await stop;
  await watch.close();
  await server.close();
  reader.close();
}

function pageFiles(): Map<string, PageFile> {
  const text = 'charset=utf-8';
  return new Map([
    ['/', { type: `text/html; ${text}`, body: readAsset('sidecar/console/web/index.html') }],
    ['/icon.svg', { type: 'image/svg+xml', body: readAsset('web/icon.svg') }],
    ['/console.js', { type: `text/javascript; ${text}`, body: readAsset('dist/bundles/console.js') }],
    ['/console.css', { type: `text/css; ${text}`, body: readAsset('dist/bundles/console.css') }],
  ]);
}

function sourcesOf(options: ConsoleCommandOptions, reader: FleetReader): Sources {
  /** Where each sidecar was found, for its metrics. */
  const addresses = new Map<string, string>();
  return {
    async readHosts() {
      const { hosts } = await reader.read(['status', 'observed', 'denials', 'metrics']);
      for (const { from, status } of hosts)
        if (status !== undefined) addresses.set(`${status.service} ${status.host}`, from);
      return hosts;
    },
    openPolicy: policyReader(options),
    probeAppPorts: async (fleet, states) => probeAppPorts(fleet, states),
    async readMetrics(service, host) {
      const address = addresses.get(`${service} ${host}`);
      if (address === undefined || !isAdminAddress(address)) return reader.metricsText(service, host);
      const { status, text } = await adminPage(address, '/metrics', AbortSignal.timeout(readLimitMs));
      return status === 200 ? text : undefined;
    },
  };
}

/** Opens the files again when one of them has changed. */
function policyReader({ authorization, fleet }: MatrixFiles): () => Promise<Policy> {
  let opened: { key: string; policy: Policy } | undefined;
  const files = [authorization, fleet ?? join(dirname(authorization), 'fleet.yaml')];
  return async () => {
    const found = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
    const key = found.map((each) => `${each?.ino} ${each?.size} ${each?.mtimeMs}`).join('\n');
    if (opened?.key === key) return opened.policy;
    const matrix = await openMatrix(fleet === undefined ? { authorization } : { authorization, fleet });
    if (matrix.fleet === undefined)
      throw new UsageError(
        'the console needs fleet.yaml: found none beside the matrix, name it with --fleet',
      );
    opened = { key, policy: { ...matrix, fleet: matrix.fleet } };
    return opened.policy;
  };
}
