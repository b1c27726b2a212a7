import pino from 'pino';
import type { Test } from 'tap';
import { parseYaml } from '../../config/load.ts';
import { DataPath } from '../../sidecar/bin/data-path.ts';
import { compileMatrix } from '../../sidecar/config/authorization.ts';
import { sidecarConfigSchema } from '../../sidecar/config/sidecar-config.ts';
import { newSharedAdmission } from '../../sidecar/connections/admission.ts';
import type { Replay } from '../../sidecar/inbound/inbound.ts';
import { type KeyringFile, toKeyring } from '../../sidecar/keyring/keyring-file.ts';
import { rejectDenied } from '../../sidecar/policy/reject-denied.ts';
import { ReplayMemory } from '../../sidecar/replay/replay-memory.ts';
import { Telemetry } from '../../sidecar/telemetry/telemetry.ts';
import type { ApplyVerdict } from '../../sidecar/terms/verdict.ts';
import type { Feeds } from '../../signals/feeds.ts';
import { freePorts } from './free-ports.ts';
import { fleetOf, keyringsOf } from './keyrings.ts';
import { buildSigned, type SignedRequest } from './signed-request.ts';

/** Longer than any test's clock runs: marks of key ids that no file limits. */
const always = 0xffff_ffff;
const address = '127.0.0.1';

export interface DataPathOptions {
  /** Port of the local app of npu-worker. */
  readonly app?: number;
  /** Port at which npu-worker's sidecar is called; taken for the callee of outbound calls. */
  readonly callee?: number;
  readonly applyVerdict?: ApplyVerdict;
  readonly authorization: string;
  /** Further keys of sidecar.yaml. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly memory?: ReplayMemory;
  readonly feeds?: Feeds;
  readonly service?: 'npu-worker' | 'main-backend';
}

/** The data path of one sidecar, run from its sources in this process. */
export interface LocalDataPath {
  readonly inbound: number;
  readonly outbound: number;
  readonly telemetry: Telemetry;
  readonly path: DataPath;
  /** What it signs and verifies with. */
  readonly keyring: KeyringFile;
  /** A request of main-backend to npu-worker, rightly signed unless changed. */
  signed(changes?: Partial<SignedRequest>): ReturnType<typeof buildSigned>;
}

/** Serves npu-worker (or main-backend) on loopback until the test ends. */
export async function startDataPath(t: Test, options: DataPathOptions): Promise<LocalDataPath> {
  const { app = 1, applyVerdict = rejectDenied, authorization, service = 'npu-worker' } = options;
  const [inbound, outbound, admin] = (await freePorts(3)) as [number, number, number];
  const fleet = fleetOf(
    { 'npu-worker': [address], 'main-backend': [address] },
    options.callee ?? inbound,
    app,
  );
  const keyrings = keyringsOf(fleet);
  const memory = options.memory ?? ReplayMemory.ofCapacity(10_000);
  const keyringFile = keyrings.get(`${service}@${address}`)!;
  const keyring = toKeyring(keyringFile);
  for (const kid of keyring.inbound.keys()) memory.use(kid, always, 0);
  const replay: Replay = {
    admit: (kid, nonce, created) => memory.admit(kid, nonce, created),
    cover: () => Promise.resolve(),
  };
  const telemetry = new Telemetry({
    service,
    peers: fleet.services.keys(),
    logger: pino({ level: 'silent' }),
    feeds: options.feeds,
  });
  const config = sidecarConfigSchema.parse({
    service,
    outbound: { listen: `${address}:${outbound}` },
    inbound: { listen: `${address}:${inbound}`, app: `${address}:${app}` },
    admin: { listen: `${address}:${admin}` },
    fleet: 'fleet.yaml',
    authorization: 'authorization.yaml',
    keyring: 'keyring.json',
    state: 'state',
    ...options.config,
  });
  const path = new DataPath({
    config,
    applyVerdict,
    telemetry,
    replay,
    keyring,
    policy: { fleet, matrix: compileMatrix(parseYaml('authorization.yaml', authorization), fleet) },
    admission: newSharedAdmission(),
  });
  await path.listen(
    { inbound: [{ host: address, port: inbound }], outbound: [{ host: address, port: outbound }] },
    { host: address, port: admin },
  );
  t.teardown(() => {
    path.stopAccepting();
    path.close();
  });
  const { kid, keys } = keyrings.get(`main-backend@${address}`)!.outbound['npu-worker']!;
  const key = Buffer.from(keys[address]!, 'base64');
  return {
    inbound,
    outbound,
    telemetry,
    path,
    keyring: keyringFile,
    signed: (changes) =>
      buildSigned({ kid, key, host: 'npu-worker', method: 'GET', target: '/api/status/7', ...changes }),
  };
}
