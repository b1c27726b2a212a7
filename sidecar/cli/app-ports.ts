import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Fleet } from '../config/fleet.ts';
import type { AppPort } from '../readiness/assess.ts';
import type { HostState } from '../telemetry/documents.ts';
import { appListeners } from '../telemetry/listening.ts';

const timeoutMs = 1_500;

/**
 * Whether an app can be reached past its sidecar: by trying to connect to every one from here, by this machine's own
 * table of listening sockets, and by what the sidecars say of theirs.
 */
export async function probeAppPorts(fleet: Fleet, states: readonly HostState[]): Promise<AppPort[]> {
  const targets = [...fleet.services.values()].flatMap(({ name, hosts, app }) =>
    app === undefined ? [] : hosts.map((host) => ({ service: name, host, port: app })),
  );
  return Promise.all(targets.map((target) => probe(target, states)));
}

async function probe(
  target: { service: string; host: string; port: number },
  states: readonly HostState[],
): Promise<AppPort> {
  const { service, host, port } = target;
  const said = states.find(({ status }) => status?.service === service && status.host === host)?.status;
  if (said !== undefined && said.app_exposed_on.length > 0)
    return { ...target, open: true, how: `its host listens on ${said.app_exposed_on.join(', ')}` };
  if (isOwnAddress(host)) {
    const { exposedOn: addresses } = await appListeners(port);
    if (addresses.length > 0)
      return { ...target, open: true, how: `this machine listens on ${addresses.join(', ')}` };
  }
  // On loopback an app may answer: that is where its sidecar reaches it.
  if (isLoopback(host)) return { ...target, open: false, how: 'listens on loopback only' };
  const answer = await tryConnect(host, port);
  return { ...target, open: answer === 'connected', how: answer };
}

function tryConnect(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (how: string) => {
      socket.destroy();
      resolve(how);
    };
    socket.setTimeout(timeoutMs, () => done('no answer'));
    socket.once('connect', () => done('connected'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

function isOwnAddress(host: string): boolean {
  if (isLoopback(host)) return true;
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === host),
  );
}
