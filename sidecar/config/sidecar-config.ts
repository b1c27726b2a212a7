import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import {
  formatAddress,
  isUnixPath,
  type ListenAddress,
  overlap,
  parseListenAddress,
  type SocketAddress,
} from '../../config/address.ts';
import { ConfigError, check, type Problem, readYaml, type Source } from '../../config/load.ts';
import {
  count,
  duration,
  listenAddress,
  localAddress,
  localAddressText,
  path,
  serviceName,
  size,
  socketAddress,
} from '../../config/units.ts';
import { sidecarTelemetrySchema } from '../../signals/config.ts';

const group = z
  .string({ error: 'the name of a group' })
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: 'the name of a group' })
  .optional()
  .meta({ kind: 'group' });

const outbound = z.strictObject({
  listen: localAddress.describe('Where the local app sends its calls.'),
  group: group.describe('The group that may connect to UNIX sockets of `outbound`, which have mode 0660.'),
  routes: z
    .record(localAddressText, serviceName.describe('The callee of the listener with this address.'))
    .default({})
    .describe(
      'Further listeners, each for one callee: clients that cannot be told a proxy or a Host call these.',
    ),
});

const inbound = z.strictObject({
  listen: listenAddress.describe(
    "Where other services' sidecars connect; the port is `inbound` of fleet.yaml.",
  ),
  app: socketAddress.describe('The local app; the port is `app` of fleet.yaml.'),
});

const admin = z.strictObject({
  listen: localAddress.describe('Where the admin pages are served.'),
  group: group.describe('The group that may connect when `listen` is a UNIX socket, which has mode 0660.'),
});

const limits = z
  .strictObject({
    head: size
      .refine((bytes) => bytes >= 1024 && bytes <= 128 * 1024, { error: 'a size from 1KiB to 128KiB' })
      .prefault('16KiB')
      .describe('The longest head of a message.'),
    headers: count(1, 1000, 'fields').default(100).describe('The most fields in a head.'),
    body_buffer: size
      .refine((bytes) => bytes <= 1024 ** 3, { error: 'a size of at most 1GiB' })
      .prefault('1MiB')
      .describe('The longest body that is held until it is proven; longer ones are streamed.'),
    connections: count(1, 1_000_000, 'connections')
      .default(12_000)
      .describe('The most inbound connections at once.'),
    unproven_connections: count(1, 1_000_000, 'connections')
      .optional()
      .describe('How many of them may be of peers that have proven nothing. Default: half of `connections`.'),
    per_address: count(1, 1_000_000, 'connections')
      .optional()
      .describe(
        'How many of the unproven ones one address (IPv6: one /64) may have. Default: 1000, or all of them if that is less.',
      ),
  })
  .superRefine(({ connections, unproven_connections, per_address }, context) => {
    for (const [key, value, of, most] of [
      ['unproven_connections', unproven_connections, 'connections', connections],
      ['per_address', per_address, 'unproven_connections', unproven_connections ?? connections],
    ] as const)
      if (value !== undefined && value > most)
        context.addIssue({ code: 'custom', path: [key], message: `at most ${of}, which is ${most}` });
  })
  .transform((given) => {
    const unproven_connections = given.unproven_connections ?? Math.ceil(given.connections / 2);
    const per_address = given.per_address ?? Math.min(1000, unproven_connections);
    return { ...given, unproven_connections, per_address };
  });

const timeouts = z
  .strictObject({
    head: duration.prefault('10s').describe('From the first byte of a head to its last.'),
    idle: duration
      .prefault('60s')
      .describe('How long a connection may lie without a request or bytes of one.'),
    connect: duration.prefault('2s').describe('Until a connection to a host or to the app is made.'),
    response: duration.prefault('120s').describe('From the request to the first byte of its response.'),
    tunnel_idle: duration.prefault('10m').describe('How long a WebSocket may be silent.'),
    drain: duration
      .prefault('150s')
      .describe('How long calls under way may take to end after SIGTERM; at least `response`.'),
  })
  .refine((t) => t.drain >= t.response, {
    path: ['drain'],
    error: 'a drain of at least timeouts.response, so that a swap cuts no answer short',
  });

/** sidecar.yaml: one VM's sidecar. Sizes come out in bytes, durations in milliseconds. */
export const sidecarConfigSchema = z
  .strictObject({
    service: serviceName.describe('The service that this sidecar speaks for.'),
    outbound: outbound.describe('From the local app to other services.'),
    inbound: inbound
      .optional()
      .describe('From other services to the local app. Left out for a service that only calls others.'),
    admin: admin.describe('The pages for operators.'),
    fleet: path.describe('fleet.yaml.'),
    authorization: path.describe('authorization.yaml.'),
    keyring: path.describe('keyring.json, mode 0600.'),
    state: path.describe('The folder of the replay memory; it is made when it is missing.'),
    workers: count(1, 64, 'threads')
      .default(1)
      .describe('Threads that serve calls. More than one needs TCP listeners for `outbound`.'),
    limits: limits.prefault({}).describe('What one sidecar takes on.'),
    timeouts: timeouts.prefault({}).describe('How long it waits.'),
    telemetry: sidecarTelemetrySchema.describe('What is exported beside the admin pages. Default: nothing.'),
  })
  .superRefine((config, context) => {
    const issue = (path: readonly string[], message: string) =>
      context.addIssue({ code: 'custom', path: [...path], message });
    const listeners = listenersOf(config);
    for (const [index, { path, address }] of listeners.entries()) {
      const other = listeners.slice(0, index).find((earlier) => overlap(earlier.address, address));
      if (other !== undefined) issue(path, `an address of its own: ${other.path.join('.')} is the same`);
    }
    const app = config.inbound?.app;
    const self = app && listeners.find(({ address }) => overlap(address, app));
    if (self !== undefined)
      issue(['inbound', 'app'], `the app, not the sidecar's own ${self.path.join('.')}`);
    const unix = listeners.filter(({ address }) => 'path' in address).map((one) => one.path[0]);
    for (const section of ['outbound', 'admin'] as const)
      if (config[section].group !== undefined && !unix.includes(section))
        issue([section, 'group'], `no group without a UNIX socket in ${section}`);
    if (config.workers > 1 && unix.includes('outbound'))
      issue(['workers'], '1, because threads cannot share a UNIX socket of outbound');
  });

export type SidecarConfig = z.output<typeof sidecarConfigSchema>;

/** sidecar.yaml as read, with the places of its keys for errors that other files are needed for. */
export interface SidecarFile {
  readonly config: SidecarConfig;
  readonly source: Source;
  /** The listeners of `outbound.routes` as the file writes them, by what they are in `config`. */
  readonly routeTexts: ReadonlyMap<string, string>;
}

/**
 * Reads sidecar.yaml; the paths in it come out absolute, relative ones being relative to the file itself, and the keys
 * of `routes` in the form of `formatAddress`.
 *
 * @throws {ConfigError}
 */
export async function loadSidecarConfig(file: string): Promise<SidecarFile> {
  const source = await readYaml(file);
  const config = check(source, sidecarConfigSchema, 'sidecar.yaml');
  const from = (path: string) => resolve(dirname(file), path);
  const problems: Problem[] = [];
  const absolute = (address: ListenAddress, path: readonly string[]): ListenAddress => {
    if (!('path' in address)) return address;
    const at = from(address.path);
    if (!isUnixPath(at))
      problems.push({
        file,
        ...source.place(path),
        path: path.join('.'),
        found: `unix:${at}`,
        expected: 'a path of at most 107 bytes: that is what the kernel takes',
      });
    return { path: at };
  };
  const { outbound, admin } = config;
  const routes = Object.entries(outbound.routes).map(([text, callee]) => {
    const address = absolute(parseListenAddress(text) as ListenAddress, ['outbound', 'routes', text]);
    return { listen: formatAddress(address), text, callee };
  });
  const absoluteConfig = {
    ...config,
    outbound: {
      ...outbound,
      listen: absolute(outbound.listen, ['outbound', 'listen']),
      routes: Object.fromEntries(routes.map(({ listen, callee }) => [listen, callee])),
    },
    admin: { ...admin, listen: absolute(admin.listen, ['admin', 'listen']) },
    fleet: from(config.fleet),
    authorization: from(config.authorization),
    keyring: from(config.keyring),
    state: from(config.state),
    ...(config.telemetry?.access_log !== undefined && {
      telemetry: { ...config.telemetry, access_log: from(config.telemetry.access_log) },
    }),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    config: absoluteConfig,
    source,
    routeTexts: new Map(routes.map(({ listen, text }) => [listen, text])),
  };
}

/** A listener of the sidecar, and the keys under which it stands in the file. */
interface Configured {
  readonly path: readonly string[];
  readonly address: ListenAddress;
}

function listenersOf(config: {
  readonly outbound: { readonly listen: ListenAddress; readonly routes: Readonly<Record<string, string>> };
  readonly inbound?: { readonly listen: SocketAddress } | undefined;
  readonly admin: { readonly listen: ListenAddress };
}): Configured[] {
  const { outbound, inbound, admin } = config;
  return [
    { path: ['outbound', 'listen'], address: outbound.listen },
    ...(inbound === undefined ? [] : [{ path: ['inbound', 'listen'], address: inbound.listen }]),
    { path: ['admin', 'listen'], address: admin.listen },
    ...Object.keys(outbound.routes).map((text) => ({
      path: ['outbound', 'routes', text],
      address: parseListenAddress(text) as ListenAddress,
    })),
  ];
}
