import { FilesError, Loading } from '../../config/loading.ts';
import { loadMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import { FromError, readFrom } from '../fleet-reader/from.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { AppPort } from '../readiness/assess.ts';
import type { HostState } from '../telemetry/documents.ts';
import type { FleetFacts } from './fleet-facts.ts';
import { probePeer, type SignProbe } from './probe-peer.ts';

/** Where to look. */
export interface FleetSources {
  readonly fleet: string;
  readonly authorization: string;
  /** As `--from` names them. */
  readonly from: readonly string[];
  /** Probes are made with its keys, if there is one. */
  readonly keyring: Keyring | undefined;
}

/** What needs more than files and admin listeners. */
export interface FleetProbes {
  readonly apps: (fleet: Fleet, states: readonly HostState[]) => Promise<AppPort[]>;
  readonly signer: (keyring: Keyring) => SignProbe;
}

/** Finds out everything about a fleet that can be seen from here. Changes nothing. */
export async function gatherFleet(sources: FleetSources, { apps, signer }: FleetProbes): Promise<FleetFacts> {
  const nowMs = Date.now();
  const loading = new Loading();
  const fleet = await loading.file(loadFleet, sources.fleet);
  const matrix = await loading.file((file) => loadMatrix(file, fleet), sources.authorization);
  const read = await Promise.all(sources.from.map(readSource));
  const states = read.flatMap((source) => ('why' in source ? [] : source.states));
  const { keyring } = sources;
  const targets = [...(fleet?.services.values() ?? [])].flatMap(({ name, hosts, inbound }) =>
    inbound === undefined ? [] : hosts.map((host) => ({ callee: name, host, port: inbound })),
  );
  const [appPorts, peers] = await Promise.all([
    fleet === undefined ? [] : apps(fleet, states),
    keyring === undefined || matrix === undefined
      ? undefined
      : Promise.all(targets.map((target) => probePeer(keyring, target, matrix, signer(keyring)))),
  ]);
  return {
    nowMs,
    fileFaults: faultsOf(loading),
    fleet,
    matrix,
    states,
    unread: read.filter((source) => 'why' in source),
    appPorts,
    peers,
  };
}

/** One source that cannot be read must not hide the others. */
async function readSource(
  from: string,
): Promise<{ readonly states: readonly HostState[] } | { readonly from: string; readonly why: string }> {
  try {
    return { states: await readFrom([from]) };
  } catch (error) {
    if (!(error instanceof FromError)) throw error;
    return { from, why: error.found };
  }
}

function faultsOf(loading: Loading): string[] {
  try {
    loading.end();
    return [];
  } catch (error) {
    if (error instanceof FilesError) return error.message.split('\n');
    throw error;
  }
}
