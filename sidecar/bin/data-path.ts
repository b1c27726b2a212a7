import type { Socket } from 'node:net';
import type { ListenAddress } from '../../config/address.ts';
import type { Fleet } from '../config/fleet.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import { Admission, type AdmissionLimits, type SharedAdmission } from '../connections/admission.ts';
import { Arrival, type ArrivalParts } from '../connections/arrival.ts';
import { HostPool, type PoolObserver } from '../connections/host-pool.ts';
import { type Served, ServerConnection } from '../connections/server-connection.ts';
import { adopt } from '../connections/socket.ts';
import { problem, problemText } from '../http1/problem.ts';
import { Inbound, type Replay } from '../inbound/inbound.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { ListenOn } from '../listen/bind.ts';
import type { ListenPlan } from '../listen/listen-plan.ts';
import { Listener } from '../listen/listener.ts';
import { Callees } from '../outbound/callees.ts';
import { Outbound } from '../outbound/outbound.ts';
import type { Policy } from '../reload/policy-source.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ApplyVerdict } from '../terms/verdict.ts';
import { Retirement } from './retirement.ts';

export interface DataPathParts {
  readonly config: SidecarConfig;
  readonly applyVerdict: ApplyVerdict;
  readonly telemetry: Telemetry;
  readonly replay: Replay;
  readonly keyring: Keyring;
  readonly policy: Policy;
  /** What all threads count of inbound connections together. */
  readonly admission: SharedAdmission;
}

/** How long a connection too many has to read its answer. */
const turnAwayMs = 1_000;

/** One side of the sidecar, and the connections to it. */
interface Side<Handler extends Inbound | Outbound> extends Served {
  readonly handler: Handler;
}

/** Inbound and outbound of one thread, with its listeners and connections. */
export class DataPath {
  readonly telemetry: Telemetry;
  readonly #config: SidecarConfig;
  /** Undefined for a service that only calls others. */
  readonly #inbound: Side<Inbound> | undefined = undefined;
  readonly #outbound: Side<Outbound>;
  /** Connections to the local app. */
  readonly #app: HostPool | undefined = undefined;
  /** Connections to the admin listener, while operators read. */
  #admin: HostPool | undefined = undefined;
  readonly #callees: Callees;
  /** Inbound connections of which it is not known yet what they speak. */
  readonly #arrivals = new Set<Arrival>();
  readonly #retirement: Retirement | undefined = undefined;
  readonly #admission: Admission;
  readonly #listeners: Listener[] = [];

  constructor(parts: DataPathParts) {
    const { config, applyVerdict, telemetry, replay, keyring, policy } = parts;
    const { timeouts, inbound } = config;
    this.telemetry = telemetry;
    this.#config = config;
    this.#admission = new Admission(config.limits, parts.admission, addressesOf(policy.fleet));
    this.#callees = new Callees(
      policy.fleet,
      keyring,
      (callee, address, port) => new HostPool(address, port, timeouts, this.#observe(callee, address)),
    );
    if (inbound !== undefined) {
      this.#app = new HostPool(inbound.app.host, inbound.app.port, timeouts, undefined);
      this.#inbound = {
        handler: new Inbound({
          config,
          app: this.#app,
          audience: audienceOf(config.service, inbound.listen.port),
          telemetry,
          replay,
          applyVerdict,
          keyring,
          rules: policy.matrix.of(config.service),
          coveredFields: policy.fleet.coveredFields,
          operators: new Set(policy.fleet.operators),
        }),
        connections: new Set(),
        onClosed: ({ peer }) => {
          telemetry.hopConnection('inbound', peer?.caller, peer !== undefined, -1);
          telemetry.connections('inbound', -1);
        },
      };
      this.#retirement = new Retirement(keyring, this.#inbound.connections);
    }
    this.#outbound = {
      handler: new Outbound({ config, telemetry, callees: this.#callees, applyVerdict, keyring }),
      connections: new Set(),
      onClosed: () => telemetry.connections('outbound', -1),
    };
  }

  /**
   * Starts to accept.
   *
   * @param admin the admin listener, whose documents operators read through inbound
   * @throws an error of node:net when an address is taken; nothing listens then
   */
  async listen(plan: ListenPlan, admin: ListenAddress): Promise<void> {
    if (this.#inbound !== undefined) {
      const [address, port] = 'path' in admin ? [admin.path, 0] : [admin.host, admin.port];
      this.#admin = new HostPool(address, port, this.#config.timeouts, undefined);
      this.#inbound.handler.serveDocuments(this.#admin);
    }
    try {
      for (const on of plan.outbound) this.#listeners.push(await this.#listenOutbound(on));
      for (const on of plan.inbound) this.#listeners.push(await this.#listenInbound(on));
    } catch (error) {
      this.stopAccepting();
      throw error;
    }
  }

  #listenOutbound(on: ListenOn): Promise<Listener> {
    const { routes } = this.#config.outbound;
    return Listener.open(on, (socket, local) => {
      const route = 'fd' in on ? routes[local] : on.route;
      const owned = adopt(socket);
      if (owned === undefined) return;
      ServerConnection.serve(owned, this.#outbound, route, undefined);
      owned.read(0);
      this.telemetry.connections('outbound', 1);
    });
  }

  #listenInbound(on: ListenOn): Promise<Listener> {
    const inbound = this.#inbound as Side<Inbound>;
    const parts: ArrivalParts = {
      timeouts: this.#config.timeouts,
      keyOf: (kid) => inbound.handler.keyOf(kid),
      serve: (socket, peer, place) => {
        this.telemetry.hopConnection('inbound', peer?.caller, peer !== undefined, 1);
        const connection = ServerConnection.serve(socket, inbound, undefined, peer);
        connection.place = place;
        place.holder = connection;
        return connection;
      },
      onHandshake: (result, peer) => this.telemetry.handshake('inbound', peer?.caller, undefined, result),
      onEnd: (arrival, isServed) => {
        this.#arrivals.delete(arrival);
        if (!isServed) this.telemetry.connections('inbound', -1);
      },
    };
    return Listener.open(on, (socket) => {
      const place = this.#admission.admit(socket.remoteAddress ?? '');
      if (typeof place === 'string') {
        this.#turnAway(socket, inbound.handler, place);
        return;
      }
      const arrival = Arrival.accept(socket, parts, place);
      if (arrival === undefined) {
        place.leave();
        return;
      }
      this.#arrivals.add(arrival);
      this.telemetry.connections('inbound', 1);
    });
  }

  /** Counts the connections to one host of a callee. */
  #observe(callee: string, address: string): PoolObserver {
    return {
      onHandshake: (result) => this.telemetry.handshake('outbound', callee, address, result),
      onConnection: (sealed, delta) => this.telemetry.hopConnection('outbound', callee, sealed, delta),
    };
  }

  /** One connection too many: it gets an answer, and no place. */
  #turnAway(socket: Socket, inbound: Inbound, limit: keyof AdmissionLimits): void {
    const detail = `The sidecar serves limits.${limit}, ${this.#config.limits[limit]}, connections already.`;
    const refusal = { reason: 'too-many-connections', detail } as const;
    const requestId = inbound.onMalformed(refusal);
    socket.on('error', () => {});
    // Not an idle time, which whoever sends a byte now and then would put off for ever.
    const giveUp = setTimeout(() => socket.destroy(), turnAwayMs);
    socket.once('close', () => clearTimeout(giveUp));
    socket.end(problemText(problem(refusal, requestId), true, true), 'latin1');
    socket.on('end', () => socket.destroySoon());
    socket.resume();
  }

  takeUpKeyring(keyring: Keyring): void {
    this.#inbound?.handler.onKeyring(keyring);
    this.#retirement?.onKeyring(keyring);
    this.#outbound.handler.onKeyring(keyring);
  }

  takeUpPolicy({ fleet, matrix }: Policy): void {
    this.telemetry.setPeers(fleet.services.keys());
    this.#callees.replace(fleet);
    this.#admission.replaceFleet(addressesOf(fleet));
    this.#inbound?.handler.onPolicy(matrix.of(this.#config.service), {
      coveredFields: fleet.coveredFields,
      operators: new Set(fleet.operators),
    });
  }

  /** Accepts no more; connections close behind their present request. */
  stopAccepting(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    for (const { handler } of this.#sides) handler.draining = true;
  }

  /** Whether an inbound connection may still bring a request that nobody else will see. */
  isUndecided(): boolean {
    if (this.#arrivals.size > 0) return true;
    for (const connection of this.#inbound?.connections ?? []) if (connection.isUndecided) return true;
    return false;
  }

  /** Ends the connections of one side on which no request is under way. */
  endWaiting(side: 'inbound' | 'outbound'): void {
    const ended = side === 'inbound' ? this.#inbound : this.#outbound;
    for (const connection of ended?.connections ?? []) if (connection.isWaiting) connection.end();
    if (side === 'inbound') for (const arrival of this.#arrivals) if (arrival.isWaiting) arrival.end();
  }

  /** Connections that are still open. */
  get openConnections(): number {
    return this.#sides.reduce((sum, { connections }) => sum + connections.size, this.#arrivals.size);
  }

  get #sides(): readonly Side<Inbound | Outbound>[] {
    return this.#inbound === undefined ? [this.#outbound] : [this.#inbound, this.#outbound];
  }

  /** Ends whatever is left. */
  close(): void {
    for (const side of this.#sides) for (const one of side.connections) one.abort();
    for (const arrival of this.#arrivals) arrival.abort();
    this.#retirement?.close();
    this.#app?.close();
    this.#admin?.close();
    this.#callees.close();
    this.telemetry.close();
  }
}

/** Where peers of the fleet call from. */
function addressesOf({ services }: Fleet): readonly string[] {
  return [...services.values()].flatMap(({ hosts }) => hosts);
}

/** The authorities that mean this service: its name, alone or with the listener's port. */
function audienceOf(service: string, port: number): ReadonlySet<string> {
  return new Set([service, port === 80 ? service : `${service}:${port}`]);
}
