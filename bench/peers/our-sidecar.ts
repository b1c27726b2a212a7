import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dist } from '../../tools/build.ts';
import { type Program, programs } from '../../tools/programs.ts';
import { leaveSettledState } from '../../tools/settled-state.ts';
import { freePort, type Started, start } from '../processes.ts';
import { callee, caller, writeFleetFolder } from './fleet.ts';
import type { Place } from './peer.ts';

export const binary = join(dist, 'countersign-enforcing');

/** What is in the binary, under Node itself: it takes further options of Node, which the binary does not. */
export function underNode(...options: readonly string[]): [string, ...string[]] {
  const { name, execArgv } = programs.find(({ name }) => binary.endsWith(name)) as Program;
  return [process.execPath, ...execArgv, ...options, join(dist, 'bundles', `${name}.cjs`)];
}

export interface SidecarSettings {
  /** Rules beside those that every peer has. */
  readonly furtherRules?: number;
  /** Further lines of sidecar.yaml. */
  readonly further?: string;
  /** Puts something into the empty state directory of the callee's sidecar before it starts. */
  readonly prepare?: (stateFolder: string) => Promise<void>;
  /** A command in place of the built binary: the same program, traced. */
  readonly command?: readonly [string, ...string[]];
}

export interface Sidecars {
  readonly folder: string;
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly adminPorts: Readonly<Record<string, number>>;
}

/** Writes the configuration of both services' sidecars; the app of npu-worker is the bench's. */
export async function configure(place: Place, settings: SidecarSettings = {}): Promise<Sidecars> {
  const ports: Record<string, { inbound: number; app: number }> = {
    [callee]: { inbound: await freePort(), app: place.app },
    [caller]: { inbound: await freePort(), app: await freePort() },
  };
  await writeFleetFolder(place.folder, ports, settings.furtherRules);
  const outbound: Record<string, number> = {};
  const adminPorts: Record<string, number> = {};
  for (const [service, { inbound, app }] of Object.entries(ports)) {
    outbound[service] = await freePort();
    adminPorts[service] = await freePort();
    await writeFile(
      join(place.folder, service, 'sidecar.yaml'),
      `service: ${service}
outbound: { listen: 127.0.0.1:${outbound[service]} }
inbound: { listen: 127.0.0.1:${inbound}, app: 127.0.0.1:${app} }
admin: { listen: 127.0.0.1:${adminPorts[service]} }
fleet: ../fleet.yaml
authorization: ../authorization.yaml
keyring: keyring.json
state: state
${settings.further ?? ''}
`,
    );
  }
  for (const service of Object.keys(ports)) {
    const state = join(place.folder, service, 'state');
    if (service === callee && settings.prepare !== undefined) {
      await mkdir(state, { mode: 0o700 });
      await settings.prepare(state);
    } else await leaveSettledState(state);
  }
  return {
    folder: place.folder,
    inboundPort: ports[callee]!.inbound,
    outboundPort: outbound[caller]!,
    adminPorts,
  };
}

/** Starts the sidecar of one service and waits until it serves. */
export function startSidecar(
  { folder }: Sidecars,
  service: string,
  cores: string | undefined,
  command: readonly [string, ...string[]] = [binary],
): Promise<Started> {
  const [program, ...words] = command;
  return start(program, [...words, '--config', join(folder, service, 'sidecar.yaml')], {
    cores,
    ready: (line) => line.includes('"event":"ready"'),
    cwd: folder,
  });
}
