import { request } from 'node:http';
import { connect } from 'node:net';
import { formatAddress, type ListenAddress, parseListenAddress } from '../../config/address.ts';
import { loadMatrix } from '../config/authorization.ts';
import { loadFleet } from '../config/fleet.ts';
import { loadSidecarConfig, type SidecarConfig } from '../config/sidecar-config.ts';
import { readFrom } from '../fleet-reader/from.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { KeySource } from '../reload/key-source.ts';
import { loadFiles } from '../reload/sidecar-files.ts';
import type { Host } from '../swap/host.ts';
import type { Layout } from '../swap/layout.ts';
import { readHost } from '../swap/read-host.ts';
import { appListeners } from '../telemetry/listening.ts';
import type { AppFact, HostFacts, ListenerFact } from './host-facts.ts';
import { calleesOf } from './key-checks.ts';
import { clockOf, diskOf, guardOf, modeOf } from './machine.ts';
import { type PeerProbe, probePeer, type SignProbe } from './probe-peer.ts';

const connectMs = 2_000;
/** Never resolves (RFC 2606), so a sidecar can only say that it knows no such service. */
const unknownService = 'countersign-doctor.invalid';

type Signer = (keyring: Keyring) => SignProbe;

/** Finds out everything about the host that runs this, of the sidecar with this sidecar.yaml. Changes nothing. */
export async function gatherHost(configFile: string, layout: Layout, signer: Signer): Promise<HostFacts> {
  const nowMs = Date.now();
  const files = await readFiles(configFile);
  const { config, fleet, matrix, keyring } = files;
  const [admin, listeners, app, proxyAnswer, peers, units, clock, guard, modes, disks] = await Promise.all([
    config === undefined ? {} : readAdmin(config),
    config === undefined ? [] : listenerFacts(config),
    config?.inbound === undefined ? undefined : appFact(config.inbound.app),
    config === undefined ? undefined : askProxy(config.outbound.listen),
    probePeers(files, signer),
    readHost(layout).catch((): Host | undefined => undefined),
    clockOf(),
    guardOf(layout),
    Promise.all([
      modeOf(configFile, 'shared'),
      ...(config === undefined
        ? []
        : [
            modeOf(config.fleet, 'shared'),
            modeOf(config.authorization, 'shared'),
            modeOf(config.keyring, 'secret'),
            modeOf(config.state, 'shared'),
          ]),
    ]),
    config === undefined ? [] : diskOf(config.state),
  ]);
  return {
    nowMs,
    configFile,
    fileFaults: files.faults,
    config,
    fleet,
    matrix,
    keyring,
    modes,
    listeners,
    status: undefined,
    observed: undefined,
    adminFault: undefined,
    ...admin,
    app,
    proxyAnswer,
    peers,
    clock,
    units,
    guard,
    disks,
  };
}

type Files = Pick<HostFacts, 'config' | 'fleet' | 'matrix' | 'keyring'> & {
  readonly faults: readonly string[];
};

/** As a sidecar reads them; of faulty files whatever can be read by itself. */
async function readFiles(configFile: string): Promise<Files> {
  const whole = await loadFiles({ config: configFile }).catch((error: Error) => error);
  if (!(whole instanceof Error))
    return {
      faults: [],
      config: whole.sidecar?.config,
      fleet: whole.fleet,
      matrix: whole.matrix,
      keyring: whole.keys?.current,
    };
  const config = (await readable(() => loadSidecarConfig(configFile)))?.config;
  const faults = whole.message.split('\n');
  if (config === undefined)
    return { faults, config, fleet: undefined, matrix: undefined, keyring: undefined };
  const fleet = await readable(() => loadFleet(config.fleet));
  const matrix = await readable(() => loadMatrix(config.authorization, fleet));
  const keyring = (await readable(() => KeySource.open(config.keyring)))?.current;
  return { faults, config, fleet, matrix, keyring };
}

function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  return read().catch(() => undefined);
}

async function readAdmin({ admin }: SidecarConfig): Promise<Partial<HostFacts>> {
  const base = 'path' in admin.listen ? `unix:${admin.listen.path}` : `http://${formatAddress(admin.listen)}`;
  try {
    const [state] = await readFrom([base], ['status', 'observed']);
    return { status: state?.status, observed: state?.observed };
  } catch (error) {
    const found = /found (.*?), expected/.exec((error as Error).message)?.[1] ?? (error as Error).message;
    return { adminFault: `${base}: ${found}` };
  }
}

function listenerFacts({ outbound, inbound, admin }: SidecarConfig): Promise<ListenerFact[]> {
  const listeners: [name: string, address: ListenAddress][] = [
    ['outbound', outbound.listen],
    ...(inbound === undefined ? [] : [['inbound', inbound.listen] as [string, ListenAddress]]),
    ['admin', admin.listen],
    ...Object.entries(outbound.routes).map(([address, callee]): [string, ListenAddress] => [
      `route to ${callee}`,
      parseListenAddress(address) as ListenAddress,
    ]),
  ];
  return Promise.all(
    listeners.map(async ([name, address]) => ({
      name,
      address: formatAddress(address),
      answer: await tryConnect(address),
    })),
  );
}

async function appFact(app: ListenAddress & { port: number }): Promise<AppFact> {
  const { exposedOn } = await appListeners(app.port);
  return { address: formatAddress(app), answer: await tryConnect(app), exposedOn };
}

function tryConnect(address: ListenAddress): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(
      'path' in address ? { path: address.path } : { host: here(address.host), port: address.port },
    );
    const done = (answer: string) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(connectMs, () => done('no answer'));
    socket.once('connect', () => done('connected'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}

/** Where this machine reaches a listener on all of its addresses. */
function here(host: string): string {
  return { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
}

/** Calls a service that there cannot be; a sidecar says `unknown-callee`. */
function askProxy(outbound: ListenAddress): Promise<string> {
  return new Promise((resolve) => {
    const where =
      'path' in outbound ? { socketPath: outbound.path } : { host: outbound.host, port: outbound.port };
    const call = request(
      {
        ...where,
        path: '/',
        headers: { host: unknownService },
        agent: false,
        signal: AbortSignal.timeout(connectMs),
      },
      (response) => {
        response.on('error', () => {}).resume();
        resolve(String(response.headers['x-service-refusal'] ?? `HTTP ${response.statusCode}`));
      },
    );
    call.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ABORT_ERR' ? 'no answer' : (error.code ?? error.message)),
    );
    call.end();
  });
}

function probePeers({ keyring, matrix, fleet }: Files, signer: Signer): Promise<PeerProbe[]> {
  if (keyring === undefined || matrix === undefined || fleet === undefined) return Promise.resolve([]);
  const targets = calleesOf(matrix, keyring.service).flatMap((callee) => {
    const { hosts = [], inbound } = fleet.services.get(callee) ?? {};
    return inbound === undefined ? [] : hosts.map((host) => ({ callee, host, port: inbound }));
  });
  return Promise.all(targets.map((target) => probePeer(keyring, target, matrix, signer(keyring))));
}
