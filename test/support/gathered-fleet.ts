import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DenialsDocument, ObservedDocument, StatusDocument } from '../../sidecar/telemetry/documents.ts';

const hour = 3_600_000;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

export const authorizationYaml = `services:
  main-backend:
    public: [GET /api/health]
  npu-worker:
    public: [GET /api/health]
    callers:
      main-backend: [POST /api/process, GET /api/status/*]
`;

/** Two services on loopback; nothing listens at the apps' ports. */
export const fleetYaml = `services:
  main-backend: { hosts: [127.0.0.1], inbound: 15006, app: 2 }
  npu-worker: { hosts: [127.0.0.2], inbound: 15006, app: 3 }
`;

type Row = ObservedDocument['observations'][number];

/** A row of npu-worker's observations: main-backend's allowed calls of a status, changed as told. */
export function observedRow(changes: Partial<Row> = {}): Row {
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
  return {
    direction: 'inbound',
    caller: 'main-backend',
    claimed: undefined,
    callee: 'npu-worker',
    method: 'GET',
    path: '/api/status/*',
    example: '/api/status/42',
    verdict: 'allowed',
    reason: '',
    count: 10,
    first: ago(25 * hour),
    last: ago(60_000),
    ...changes,
  };
}

/** Logging without a gap, until as many hours ago. */
export function loggedSpan(hours: number, untilHoursAgo = 0): ObservedDocument['recorded'][number] {
  const to = Date.now() - untilHoursAgo * hour;
  return {
    phase: 'logging',
    from: new Date(to - hours * hour).toISOString(),
    to: new Date(to).toISOString(),
  };
}

/** Sealed calls until a minute ago. */
function sealedHop(
  direction: 'inbound' | 'outbound',
  peer: string,
  host: string,
): ObservedDocument['hops'][number] {
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
  return { direction, peer, host, sealed: { count: 10, first: ago(25 * hour), last: ago(60_000) } };
}

export interface GatheredFleet {
  readonly folder: string;
  readonly fleet: string;
  readonly authorization: string;
  readonly mainBackend: { status: StatusDocument; observed: ObservedDocument; denials: DenialsDocument };
  readonly npuWorker: { status: StatusDocument; observed: ObservedDocument; denials: DenialsDocument };
  /** The folder to read with --from. */
  readonly hosts: string;
  /** Writes what `mainBackend` and `npuWorker` say by now. */
  write(): Promise<void>;
}

/** Files gathered from a fleet of two that is ready to enforce, to be changed and written. */
export async function gatheredFleet(t: { teardown(done: () => unknown): void }): Promise<GatheredFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'gathered-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const fleet = join(folder, 'fleet.yaml');
  const authorization = join(folder, 'authorization.yaml');
  await writeFile(fleet, fleetYaml);
  await writeFile(authorization, authorizationYaml);
  const hosts = join(folder, 'hosts');
  const mainBackend = says(
    'main-backend',
    '127.0.0.1',
    [],
    {
      outbound: { 'npu-worker': { kid: 'main-backend/3' } },
      inbound: {},
    },
    [sealedHop('outbound', 'npu-worker', '127.0.0.2')],
  );
  const npuWorker = says(
    'npu-worker',
    '127.0.0.2',
    [observedRow()],
    {
      outbound: {},
      inbound: { 'main-backend': [{ kid: 'main-backend/3' }] },
    },
    [sealedHop('inbound', 'main-backend', '127.0.0.1')],
  );
  const gathered = {
    folder,
    fleet,
    authorization,
    mainBackend,
    npuWorker,
    hosts,
    async write() {
      for (const each of [mainBackend, npuWorker]) {
        const host = join(hosts, each.status.service);
        await mkdir(host, { recursive: true });
        for (const name of ['status', 'observed', 'denials'] as const)
          await writeFile(join(host, `${name}.json`), JSON.stringify(each[name]));
      }
    },
  };
  await gathered.write();
  return gathered;
}

function says(
  service: string,
  host: string,
  observations: Row[],
  keys: Pick<StatusDocument['keys'], 'outbound' | 'inbound'>,
  hops: ObservedDocument['hops'],
): GatheredFleet['npuWorker'] {
  return {
    status: {
      gathered_at: new Date().toISOString(),
      service,
      host,
      phase: 'logging',
      version: '1.2.3',
      build: 'b1',
      matrix: sha256(authorizationYaml),
      fleet: sha256(fleetYaml),
      keys,
      hops: [],
      uptime_seconds: 12,
      ready: true,
      workers: 1,
      app_exposed_on: [],
    },
    observed: {
      since: new Date(Date.now() - 26 * hour).toISOString(),
      phase: 'logging',
      gathered_at: new Date().toISOString(),
      recorded: [loggedSpan(25)],
      observations,
      skew: [],
      keys_first_seen: {},
      hops,
      overflow: 0,
    },
    denials: { denials: [], signed: [] },
  };
}
