import { setTimeout as delay } from 'node:timers/promises';
import { type ListenAddress, parseListenAddress } from '../../config/address.ts';
import type { InheritedSockets } from '../../config/inherited-sockets.ts';
import type { Build } from '../../config/program.ts';
import type { ExportThread } from '../../signals/export-thread.ts';
import type { Feeds } from '../../signals/feeds.ts';
import { type Admin, startAdmin } from '../admin/server.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import { newSharedAdmission } from '../connections/admission.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { loadedKeys } from '../keyring/loaded-keys.ts';
import type { ListenPlan } from '../listen/listen-plan.ts';
import type { KeySource } from '../reload/key-source.ts';
import type { PolicySource } from '../reload/policy-source.ts';
import type { State } from '../replay/state.ts';
import type { StatusDocument } from '../telemetry/documents.ts';
import { EventFeed } from '../telemetry/event-feed.ts';
import type { EventBatch } from '../telemetry/event-sampler.ts';
import { statusHops } from '../telemetry/hop-documents.ts';
import { appListeners } from '../telemetry/listening.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ObservedStore } from '../telemetry/observed-store.ts';
import { mergeSnapshots, type TelemetrySnapshot } from '../telemetry/snapshot.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import type { Binary } from './binary.ts';
import { callWatch } from './call-watch.ts';
import { DataPath } from './data-path.ts';
import { openFeeds, startExports } from './exports.ts';
import { Thread } from './threads.ts';

/** What a sidecar is made of; everything is loaded and the state lock is held before it is made. */
export interface SidecarParts {
  readonly binary: Binary;
  readonly build: Build;
  readonly config: SidecarConfig;
  readonly logger: Logger;
  readonly policy: PolicySource;
  readonly keys: KeySource;
  readonly state: State;
  readonly observed: ObservedStore;
  readonly sockets: InheritedSockets;
  /** One a worker. */
  readonly plans: readonly ListenPlan[];
  /** A thread of ours failed in a way that nobody expected. */
  readonly onFault: (error: Error) => void;
}

/** How long accepted connections may take to send the request that the old process still decides. */
const graceMs = { least: 30, most: 250, step: 5 } as const;
/** Outbound connections of apps that lie idle for so long while the sidecar drains are closed. */
const drainIdleMs = 2_000;

/** One VM's sidecar: data paths on one thread or several over one replay memory, from first accept to last response. */
export class Sidecar {
  readonly #parts: SidecarParts;
  readonly #path: DataPath;
  readonly #threads: Thread[] = [];
  readonly #admission = newSharedAdmission();
  readonly #startedAt = performance.now();
  /** The keyring that every thread has loaded. */
  #keyring: Keyring;
  #admin: Admin | undefined;
  #ready = false;
  readonly #events: EventFeed;
  readonly #exports: ExportThread | undefined;
  readonly #feeds: Feeds | undefined;

  constructor(parts: SidecarParts) {
    const { config, policy, keys, state, logger, binary } = parts;
    this.#parts = parts;
    this.#keyring = keys.current;
    this.#exports = startExports(config, keys.current.host, binary.phase, parts.build, logger);
    this.#feeds = openFeeds(this.#exports?.attach(), config, logger);
    this.#path = new DataPath({
      config,
      applyVerdict: binary.applyVerdict,
      telemetry: new Telemetry({
        service: config.service,
        peers: policy.current.fleet.services.keys(),
        logger,
        feeds: this.#feeds,
        gauges: () => ({
          replayEntries: state.memory.entries,
          keyAges: parts.observed.keyAges(kidsOf(keys.current)),
        }),
      }),
      replay: {
        admit: (kid, nonce, created, hop) => state.memory.admit(kid, nonce, created, hop),
        cover: (kid, created) => state.marks.cover(kid, created),
      },
      keyring: keys.current,
      policy: policy.current,
      admission: this.#admission,
    });
    const watchOwn = callWatch(this.#path.telemetry);
    this.#events = new EventFeed((on) => {
      watchOwn(on ? (batch) => this.#events.publish(batch) : undefined);
      // A thread that is gone has nothing to tell.
      this.#everyThread((thread) => thread.ask('watchCalls', on)).catch(() => {});
    }, Date.now());
  }

  /**
   * Starts the further threads and opens all listeners.
   *
   * @throws an error of node:net when an address is taken; nothing listens then
   */
  async listen(): Promise<void> {
    const { config, sockets, binary, state, plans, onFault } = this.#parts;
    const [own, ...others] = plans;
    const admin = sockets.byName.get('admin')?.[0];
    const { listen, group } = config.admin;
    const ownAdmin = 'path' in listen ? { ...listen, group } : listen;
    for (const [index] of others.entries()) {
      const start = {
        worker: index + 1,
        config,
        state: state.shared,
        admission: this.#admission,
        signals: this.#exports?.attach(),
      };
      const onCalls = (batch: EventBatch) => this.#events.publish(batch);
      this.#threads.push(await Thread.start(binary.phase, start, { onFault, onCalls }));
    }
    try {
      this.#admin = await startAdmin(admin === undefined ? ownAdmin : { fd: admin }, {
        snapshot: () => this.#snapshot(),
        status: () => this.#status(),
        observed: (snapshot) => this.#parts.observed.document(snapshot),
        events: this.#events,
      });
      const address = parseListenAddress(this.#admin.address) as ListenAddress;
      await this.#path.listen(own as ListenPlan, address);
      await Promise.all(
        this.#threads.map((thread, index) =>
          thread.ask('listen', { plan: others[index] as ListenPlan, admin: address }),
        ),
      );
    } catch (error) {
      this.#path.stopAccepting();
      await this.#everyThread((thread) => thread.ask('close'));
      await this.#admin?.close();
      throw error;
    }
    this.#parts.observed.saveRegularly(() => this.#snapshot());
  }

  /** Opens the access log anew: what rotates it has renamed it. */
  reopenAccessLog(): void {
    this.#exports?.reopen();
  }

  /** From now on `/status` says that callers with a right clock are accepted. */
  becomeReady(): void {
    this.#ready = true;
  }

  /** What all threads have counted. */
  async #snapshot(): Promise<TelemetrySnapshot> {
    const own = this.#path.telemetry.snapshot();
    if (this.#threads.length === 0) return own;
    return mergeSnapshots([own, ...(await this.#everyThread((thread) => thread.ask('snapshot')))]);
  }

  #everyThread<Result>(ask: (thread: Thread) => Promise<Result>): Promise<Result[]> {
    return Promise.all(this.#threads.map(ask));
  }

  /** Takes up a keyring that was loaded anew; `/status` shows it once every thread has it. */
  async onKeyring(keyring: Keyring): Promise<void> {
    await this.#parts.state.use(keyring.inbound.keys());
    this.#path.takeUpKeyring(keyring);
    await this.#everyThread((thread) => thread.ask('takeUpKeyring'));
    this.#keyring = keyring;
  }

  /** Takes up fleet and matrix as they are in force now. */
  async onPolicy(): Promise<void> {
    this.#path.takeUpPolicy(this.#parts.policy.current);
    await this.#everyThread((thread) => thread.ask('takeUpPolicy'));
  }

  async #status(): Promise<StatusDocument> {
    const { binary, build, config, policy } = this.#parts;
    const { fleet, matrix } = policy.current;
    const app = config.inbound && (await appListeners(config.inbound.app.port));
    return {
      service: config.service,
      host: this.#keyring.host,
      phase: binary.phase,
      version: build.version,
      build: build.hash,
      matrix: matrix.hash,
      fleet: fleet.hash,
      keys: loadedKeys(this.#keyring),
      hops: statusHops((await this.#snapshot()).hopCounts),
      uptime_seconds: (performance.now() - this.#startedAt) / 1000,
      ready: this.#ready,
      workers: config.workers,
      app_exposed_on: [...(app?.exposedOn ?? [])],
      ...(app?.listens !== undefined && { app_listens: app.listens }),
    };
  }

  /**
   * Leaves the field to the process that comes next: accepts no more, decides every request that it has been sent,
   * hands the replay memory over, and finishes what is under way. Resolves when nothing is left.
   */
  async drain(): Promise<void> {
    const { state, observed, logger, config } = this.#parts;
    this.#ready = false;
    const since = performance.now();
    this.#path.stopAccepting();
    await this.#everyThread((thread) => thread.ask('stopAccepting'));
    const adminClosed = this.#admin?.close();
    await delay(graceMs.least);
    while ((await this.#isUndecided()) && performance.now() - since < graceMs.most) await delay(graceMs.step);
    await observed.handOver(await this.#snapshot()).catch((error: unknown) => {
      logger.error({ event: 'observed-not-saved', err: error }, 'observed.json could not be saved');
    });
    // From here on nothing is verified; connections without a request end, so that peers open new ones.
    await this.#endWaiting('inbound');
    await state.handOver().catch((error: unknown) => {
      logger.error({ event: 'state-not-handed-over', err: error }, (error as Error).message);
    });
    const ms = Math.round(performance.now() - since);
    logger.info({ event: 'handed-over', ms }, 'handed over the replay memory');
    await this.#empty(since + config.timeouts.drain);
    await adminClosed;
    await observed.close(await this.#snapshot()).catch(() => {});
    this.#path.close();
    await this.#everyThread((thread) => thread.ask('close'));
    await this.#feeds?.close();
  }

  async #isUndecided(): Promise<boolean> {
    if (this.#path.isUndecided()) return true;
    return (await this.#everyThread((thread) => thread.ask('isUndecided'))).includes(true);
  }

  async #endWaiting(side: 'inbound' | 'outbound'): Promise<void> {
    this.#path.endWaiting(side);
    await this.#everyThread((thread) => thread.ask('endWaiting', side));
  }

  async #openConnections(): Promise<number> {
    const others = await this.#everyThread((thread) => thread.ask('openConnections'));
    return others.reduce((sum, count) => sum + count, this.#path.openConnections);
  }

  /** Waits until no connection is left; those of apps that lie idle are closed after a while. */
  async #empty(deadline: number): Promise<void> {
    const idleUntil = performance.now() + drainIdleMs;
    while ((await this.#openConnections()) > 0 && performance.now() < deadline) {
      if (performance.now() > idleUntil) await this.#endWaiting('outbound');
      await delay(20);
    }
  }
}

/** The ids of all keys, this service's own and its callers'. */
function kidsOf({ inbound, outbound }: Keyring): ReadonlySet<string> {
  return new Set([...inbound.keys(), ...[...outbound.values()].map(({ kid }) => kid)]);
}
