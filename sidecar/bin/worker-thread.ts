import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ListenAddress } from '../../config/address.ts';
import { thisBuild } from '../../config/program.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { SharedAdmission } from '../connections/admission.ts';
import type { ListenPlan } from '../listen/listen-plan.ts';
import { KeySource } from '../reload/key-source.ts';
import { PolicySource } from '../reload/policy-source.ts';
import { attachState, type SharedState } from '../replay/state.ts';
import type { EventBatch } from '../telemetry/event-sampler.ts';
import { openLog } from '../telemetry/log.ts';
import type { TelemetrySnapshot } from '../telemetry/snapshot.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import type { Binary } from './binary.ts';
import { callWatch } from './call-watch.ts';
import { DataPath } from './data-path.ts';
import { openFeeds } from './exports.ts';

/** What a worker thread is started with. */
export interface WorkerStart {
  readonly worker: number;
  readonly config: SidecarConfig;
  readonly state: SharedState;
  readonly admission: SharedAdmission;
  /** To the thread that exports signals; undefined when nothing is exported. */
  readonly signals: MessagePort | undefined;
}

/** What the main thread asks of a worker; every question is answered once. */
export interface WorkerCalls {
  listen(on: { readonly plan: ListenPlan; readonly admin: ListenAddress }): Promise<void>;
  takeUpKeyring(): Promise<void>;
  takeUpPolicy(): Promise<void>;
  snapshot(): TelemetrySnapshot;
  /** Whether calls are to be told of as they end. */
  watchCalls(on: boolean): void;
  stopAccepting(): void;
  isUndecided(): boolean;
  endWaiting(side: 'inbound' | 'outbound'): void;
  openConnections(): number;
  close(): Promise<void>;
}

export interface Question {
  readonly id: number;
  readonly call: keyof WorkerCalls;
  readonly argument: unknown;
}

export type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: Error });

/** Calls as they end, told without being asked. */
export interface ToldEvents {
  readonly events: EventBatch;
}

/** Runs the data path of one worker thread: its binary is that of the program, for it is part of the same bundle. */
export async function runWorkerThread(binary: Binary): Promise<void> {
  const port = parentPort as MessagePort;
  const { worker, config, state, admission, signals } = workerData as WorkerStart;
  const log = openLog({ service: config.service, phase: binary.phase, version: thisBuild().version, worker });
  const [policy, keys] = await Promise.all([PolicySource.open(config), KeySource.open(config.keyring)]);
  const { memory, marks } = attachState(state);
  const feeds = openFeeds(signals, config, log.logger);
  const path = new DataPath({
    config,
    applyVerdict: binary.applyVerdict,
    telemetry: new Telemetry({
      service: config.service,
      peers: policy.current.fleet.services.keys(),
      logger: log.logger,
      feeds,
      worker,
    }),
    replay: {
      admit: (kid, nonce, created, hop) => memory.admit(kid, nonce, created, hop),
      cover: (kid, created) => marks.cover(kid, created),
    },
    keyring: keys.current,
    policy: policy.current,
    admission,
  });
  const watch = callWatch(path.telemetry);
  const calls: WorkerCalls = {
    listen: ({ plan, admin }) => path.listen(plan, admin),
    async takeUpKeyring() {
      await keys.reload();
      path.takeUpKeyring(keys.current);
    },
    async takeUpPolicy() {
      await policy.reload();
      path.takeUpPolicy(policy.current);
    },
    snapshot: () => path.telemetry.snapshot(),
    watchCalls: (on) => watch(on ? (events) => port.postMessage({ events } satisfies ToldEvents) : undefined),
    stopAccepting: () => path.stopAccepting(),
    isUndecided: () => path.isUndecided(),
    endWaiting: (side) => path.endWaiting(side),
    openConnections: () => path.openConnections,
    async close() {
      path.close();
      marks.close();
      await feeds?.close();
      void log.end();
      // After the answer has left.
      setImmediate(() => port.close());
    },
  };
  port.on('message', async ({ id, call, argument }: Question) => {
    try {
      const ask = calls[call] as (argument: unknown) => unknown;
      port.postMessage({ id, result: await ask(argument) } satisfies Answer);
    } catch (error) {
      port.postMessage({ id, error: error as Error } satisfies Answer);
    }
  });
  port.postMessage({ id: 0, result: 'ready' } satisfies Answer);
}
