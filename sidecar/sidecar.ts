import { setTimeout as delay } from 'node:timers/promises';
import type { Build } from '../config/program.ts';
import { type Admin, startAdmin } from './admin/server.ts';
import type { PolicySource } from './config/policy-source.ts';
import type { SidecarConfig } from './config/sidecar-config.ts';
import { Downstream, type Pipeline } from './downstream/downstream.ts';
import { problemResponse } from './http1/problem.ts';
import { Inbound } from './inbound/inbound.ts';
import type { KeySource } from './keyring/key-source.ts';
import type { Keyring } from './keyring/keyring.ts';
import { loadedKeys } from './keyring/loaded-keys.ts';
import type { InheritedSockets } from './listen/inherited-sockets.ts';
import { Listener, type ListenOn } from './listen/listener.ts';
import { Callees } from './outbound/callees.ts';
import { Outbound } from './outbound/outbound.ts';
import type { ApplyVerdict } from './policy/verdict.ts';
import type { State } from './replay/state.ts';
import type { Phase, StatusDocument } from './telemetry/documents.ts';
import { exposedOn } from './telemetry/listening.ts';
import type { Logger } from './telemetry/log.ts';
import type { ObservedStore } from './telemetry/observed-store.ts';
import { Telemetry } from './telemetry/telemetry.ts';

/** What makes one binary: the function that acts on verdicts, and the name under which operators know it. */
export interface Binary {
  readonly phase: Phase;
  readonly applyVerdict: ApplyVerdict;
}

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
}

/** How long accepted connections may take to send the request that the old process still decides. */
const graceMs = { least: 30, most: 250, step: 5 } as const;
/** Outbound connections of apps that lie idle for so long while the sidecar drains are closed. */
const drainIdleMs = 2_000;

/** One VM's sidecar: inbound and outbound over shared parts, from the first accept to the last response. */
export class Sidecar {
  readonly #parts: SidecarParts;
  readonly #telemetry: Telemetry;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #callees: Callees;
  readonly #startedAt = performance.now();
  #listeners: Listener[] = [];
  #admin: Admin | undefined;
  #ready = false;

  constructor(parts: SidecarParts) {
    const { config, policy, keys, state, logger, binary } = parts;
    this.#parts = parts;
    this.#telemetry = new Telemetry({
      service: config.service,
      peers: policy.current.fleet.services.keys(),
      logger,
      gauges: () => ({
        replayEntries: state.memory.entries,
        keyAges: parts.observed.keyAges(kidsOf(keys.current)),
      }),
    });
    this.#callees = new Callees(policy.current.fleet, config.timeouts);
    this.#inbound = new Inbound({
      config,
      audience: audienceOf(config),
      telemetry: this.#telemetry,
      replay: {
        admit: (kid, nonce, created) => state.memory.admit(kid, nonce, created),
        cover: (kid, created) => state.marks.cover(kid, created),
      },
      applyVerdict: binary.applyVerdict,
      keyring: keys.current,
      rules: policy.current.matrix.of(config.service),
    });
    this.#outbound = new Outbound({
      config,
      telemetry: this.#telemetry,
      callees: this.#callees,
      keyring: keys.current,
    });
  }

  /**
   * Opens all listeners.
   *
   * @throws an error of node:net when an address is taken; nothing listens then
   */
  async listen(): Promise<void> {
    const { config, sockets } = this.#parts;
    const inherited = (name: string) => sockets.byName.get(name) ?? [];
    const held = [...inherited('outbound'), ...inherited('route')].map((fd) => ({ fd }));
    const outbound: readonly ListenOn[] =
      held.length > 0
        ? held
        : [config.outbound.listen, ...Object.keys(config.outbound.routes).map(addressOf)];
    const inbound: readonly ListenOn[] =
      inherited('inbound').length > 0 ? inherited('inbound').map((fd) => ({ fd })) : [config.inbound.listen];
    const admin = inherited('admin')[0];
    try {
      this.#admin = await startAdmin(admin === undefined ? config.admin.listen : { fd: admin }, {
        snapshot: () => this.#telemetry.snapshot(),
        status: () => this.#status(),
        observed: (snapshot) => this.#parts.observed.document(snapshot),
      });
      for (const on of outbound)
        this.#listeners.push(await this.#open(on, this.#outbound, config.outbound.routes));
      for (const on of inbound) this.#listeners.push(await this.#open(on, this.#inbound, {}));
    } catch (error) {
      for (const listener of this.#listeners) listener.close();
      await this.#admin?.close();
      throw error;
    }
    this.#ready = true;
    this.#parts.observed.saveRegularly(() => Promise.resolve(this.#telemetry.snapshot()));
  }

  #open(
    on: ListenOn,
    side: Pipeline & { readonly connections: Set<Downstream> },
    routes: Readonly<Record<string, string>>,
  ): Promise<Listener> {
    const direction = side === this.#inbound ? 'inbound' : 'outbound';
    return Listener.open(on, (socket, local) => {
      if (direction === 'inbound' && side.connections.size >= this.#parts.config.limits.connections) {
        this.#turnAway(socket);
        return;
      }
      const downstream = Downstream.serve(socket, side, routes[local]);
      if (downstream === undefined) return;
      side.connections.add(downstream);
      this.#telemetry.connections(direction, 1);
    });
  }

  /** One connection too many: it gets an answer, and no place. */
  #turnAway(socket: import('node:net').Socket): void {
    const detail = `The sidecar serves limits.connections, ${this.#parts.config.limits.connections}, connections already.`;
    const refusal = { reason: 'too-many-connections', detail } as const;
    const requestId = this.#inbound.onMalformed(undefined, refusal);
    socket.on('error', () => {});
    socket.setTimeout(graceMs.most * 4, () => socket.destroy());
    socket.end(problemResponse(refusal.reason, detail, requestId, true, true), 'latin1');
    socket.on('end', () => socket.destroySoon());
    socket.resume();
  }

  /** Takes up a keyring that was loaded anew. */
  async onKeyring(keyring: Keyring): Promise<void> {
    await this.#parts.state.use(keyring.inbound.keys());
    this.#inbound.onKeyring(keyring);
    this.#outbound.onKeyring(keyring);
  }

  /** Takes up fleet and matrix as they are in force now. */
  onPolicy(): void {
    const { fleet, matrix } = this.#parts.policy.current;
    this.#telemetry.setPeers(fleet.services.keys());
    this.#callees.replace(fleet);
    this.#inbound.onRules(matrix.of(this.#parts.config.service));
  }

  async #status(): Promise<StatusDocument> {
    const { binary, build, config, keys, policy } = this.#parts;
    const { fleet, matrix } = policy.current;
    return {
      service: config.service,
      host: keys.current.host,
      phase: binary.phase,
      version: build.version,
      build: build.hash,
      matrix: matrix.hash,
      fleet: fleet.hash,
      keys: loadedKeys(keys.current),
      uptime_seconds: (performance.now() - this.#startedAt) / 1000,
      ready: this.#ready,
      workers: config.workers,
      app_exposed_on: await exposedOn(config.inbound.app.port),
    };
  }

  /**
   * Leaves the field to the process that comes next: accepts no more, decides every request that it has been sent,
   * hands the replay memory over, and finishes what is under way. Resolves when nothing is left.
   */
  async drain(): Promise<void> {
    const { state, observed, logger, config } = this.#parts;
    this.#ready = false;
    for (const listener of this.#listeners) listener.close();
    const adminClosed = this.#admin?.close();
    this.#inbound.draining = true;
    this.#outbound.draining = true;
    const since = performance.now();
    await delay(graceMs.least);
    while (this.#undecided() && performance.now() - since < graceMs.most) await delay(graceMs.step);
    await observed.handOver(this.#telemetry.snapshot()).catch((error: unknown) => {
      logger.error({ event: 'observed-not-saved', err: error }, 'observed.json could not be saved');
    });
    // From here on nothing is verified; connections without a request end, so that peers open new ones.
    for (const downstream of this.#inbound.connections) if (downstream.isWaiting) downstream.end();
    await state.handOver().catch((error: unknown) => {
      logger.error({ event: 'state-not-handed-over', err: error }, (error as Error).message);
    });
    logger.info(
      { event: 'handed-over', ms: Math.round(performance.now() - since) },
      'handed over the replay memory',
    );
    await this.#empty(since + config.timeouts.drain);
    this.#inbound.closeIdle();
    this.#callees.closeIdle();
    await adminClosed;
    await observed.close(this.#telemetry.snapshot()).catch(() => {});
    this.#telemetry.close();
  }

  /** Whether an inbound connection may still bring a request that nobody else will see. */
  #undecided(): boolean {
    for (const downstream of this.#inbound.connections) if (downstream.isUndecided) return true;
    return false;
  }

  /** Waits until no connection is left; those of apps that lie idle are closed after a while. */
  async #empty(deadline: number): Promise<void> {
    const idleSince = performance.now();
    while (
      this.#inbound.connections.size + this.#outbound.connections.size > 0 &&
      performance.now() < deadline
    ) {
      if (performance.now() - idleSince > drainIdleMs) {
        for (const downstream of this.#outbound.connections) if (downstream.isWaiting) downstream.end();
      }
      await delay(20);
    }
    for (const side of [this.#inbound, this.#outbound]) for (const one of side.connections) one.abort();
  }
}

/** The ids of all keys, this service's own and its callers'. */
function kidsOf({ inbound, outbound }: Keyring): ReadonlySet<string> {
  return new Set([...inbound.keys(), ...[...outbound.values()].map(({ kid }) => kid)]);
}

/** The authorities that mean this service: its name, alone or with the listener's port. */
function audienceOf({ service, inbound }: SidecarConfig): ReadonlySet<string> {
  return new Set([service, inbound.listen.port === 80 ? service : `${service}:${inbound.listen.port}`]);
}

function addressOf(text: string): ListenOn {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}
