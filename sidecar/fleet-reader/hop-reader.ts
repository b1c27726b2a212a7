import type { IncomingMessage } from 'node:http';
import * as z from 'zod';
import { type Fleet, isKeyringOnly } from '../config/fleet.ts';
import { OperatorSession, type SidecarAddress } from '../hop-client/operator-session.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { denialsSchema, type HostState, observedSchema, statusSchema } from '../telemetry/documents.ts';
import { readMetrics } from '../telemetry/metrics-document.ts';
import { eachAtOnce } from '../terms/each-at-once.ts';
import type { DocumentName } from './from.ts';
import { readText } from './read-text.ts';

export interface HopReaderLimits {
  /** Sidecars that are read at once. */
  readonly lanes: number;
  /** For TCP and handshake, in milliseconds. */
  readonly connectMs: number;
  /** For one document, in milliseconds. */
  readonly answerMs: number;
  /** Of one document. */
  readonly documentBytes: number;
  /** Of all documents of one reading: what is past it is left out, and said so. */
  readonly totalBytes: number;
}

const usualLimits: HopReaderLimits = {
  lanes: 64,
  connectMs: 3_000,
  answerMs: 5_000,
  documentBytes: 32 * 2 ** 20,
  totalBytes: 512 * 2 ** 20,
};

/** Why a sidecar's documents could not be read: one sentence, for operators. */
class ReadError extends Error {}

/** Reads the sidecars of a fleet through sealed connections, as one of its operators. Connections are kept for the next time. */
export class HopReader {
  readonly #fleet: Fleet;
  readonly #keyring: Keyring;
  readonly #limits: HopReaderLimits;
  readonly #sessions = new Map<string, OperatorSession>();

  constructor(fleet: Fleet, keyring: Keyring, limits: Partial<HopReaderLimits> = {}) {
    this.#fleet = fleet;
    this.#keyring = keyring;
    this.#limits = { ...usualLimits, ...limits };
  }

  /** The sidecars that are read. */
  get addresses(): readonly SidecarAddress[] {
    return [...this.#fleet.services.values()].flatMap(({ name, hosts, inbound }) =>
      inbound === undefined ? [] : hosts.map((host) => ({ service: name, host, port: inbound })),
    );
  }

  /** Reads every sidecar, in the order of fleet.yaml; one that cannot be read has `problem`. */
  async read(wanted: readonly DocumentName[]): Promise<HostState[]> {
    const { addresses } = this;
    const states: HostState[] = Array.from({ length: addresses.length });
    const budget = { bytes: this.#limits.totalBytes };
    await eachAtOnce(
      [...addresses.entries()],
      async ([at, address]) => {
        states[at] = await this.#readOne(address, wanted, budget);
      },
      this.#limits.lanes,
    );
    return [...states, ...this.#callersOnly()];
  }

  /** The text of a sidecar's `/metrics`; undefined when there is no such host, or it cannot be read. */
  async metricsText(service: string, host: string): Promise<string | undefined> {
    const address = this.addresses.find((each) => each.service === service && each.host === host);
    return address && this.#document(address, 'metrics').catch(() => undefined);
  }

  /** Opens the stream of a sidecar's events. @throws an error whose message says why not */
  async events(
    address: SidecarAddress,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const session = await OperatorSession.open(this.#keyring, address, this.#limits.connectMs);
    signal.addEventListener('abort', () => session.close(), { once: true });
    try {
      const response = await session.read('events', signal, lastEventId);
      if (response.statusCode !== 200) throw this.#refused(response);
      return response;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  /** Services that only call others listen to nobody; operators among them need no sidecar at all. */
  #callersOnly(): HostState[] {
    return [...this.#fleet.services.values()]
      .filter(({ name, inbound }) => inbound === undefined && !isKeyringOnly(this.#fleet, name))
      .flatMap(({ name, hosts }) =>
        hosts.map((host) => ({
          from: `${name} on ${host}`,
          target: { service: name, host },
          problem: 'it only calls others, so nobody can connect to it; read it on its host, with --from',
        })),
      );
  }

  async #readOne(
    address: SidecarAddress,
    wanted: readonly DocumentName[],
    budget: { bytes: number },
  ): Promise<HostState> {
    const { service, host, port } = address;
    const state = { from: `${service} at ${host}:${port}`, target: { service, host } };
    try {
      const documents: Partial<HostState>[] = [];
      for (const name of wanted) {
        const text = await this.#document(address, name);
        budget.bytes -= text.length;
        if (budget.bytes < 0)
          throw new ReadError(
            `the documents of the fleet are larger than ${this.#limits.totalBytes / 2 ** 20} MiB; read fewer at once`,
          );
        documents.push(parsed(name, text));
      }
      return Object.assign(state, ...documents) as HostState;
    } catch (error) {
      return { ...state, problem: (error as Error).message };
    }
  }

  /** A kept connection may have ended in the meantime: then there is one more try, on a new one. */
  async #document(address: SidecarAddress, name: DocumentName): Promise<string> {
    const place = `${address.service}@${address.host}`;
    const kept = this.#sessions.get(place);
    if (kept?.isOpen) {
      try {
        return await this.#ask(kept, name);
      } catch (error) {
        kept.close();
        if (error instanceof ReadError) throw error;
      }
    }
    const session = await OperatorSession.open(this.#keyring, address, this.#limits.connectMs);
    this.#sessions.set(place, session);
    try {
      return await this.#ask(session, name);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #ask(session: OperatorSession, name: DocumentName): Promise<string> {
    const { answerMs, documentBytes } = this.#limits;
    const signal = AbortSignal.timeout(answerMs);
    try {
      const response = await session.read(name, signal);
      if (response.statusCode !== 200) {
        response.resume();
        throw this.#refused(response);
      }
      return await readText(response, documentBytes);
    } catch (error) {
      if (signal.aborted) throw new ReadError(`no answer within ${answerMs / 1000} s`);
      throw error;
    }
  }

  #refused({ statusCode, headers }: IncomingMessage): ReadError {
    const reason = headers['x-service-refusal'] ?? headers['x-service-denial'];
    const why = reason === undefined ? '' : ` (${reason})`;
    return new ReadError(
      `HTTP ${statusCode}${why}; its fleet.yaml must list ${this.#keyring.service} under operators`,
    );
  }
}

const schemas = { status: statusSchema, observed: observedSchema, denials: denialsSchema } as const;

function parsed(name: DocumentName, text: string): Partial<HostState> {
  if (name === 'metrics') return { metrics: readMetrics(text) };
  try {
    return { [name]: schemas[name].parse(JSON.parse(text)) };
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const what = issue === undefined ? 'is no JSON' : `${issue.path.join('.')}: ${issue.message}`;
    throw new ReadError(`its /${name} cannot be read: ${what}`);
  }
}
