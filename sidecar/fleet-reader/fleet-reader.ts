import type { IncomingMessage } from 'node:http';
import type { FleetSnapshot } from '../fleet-view/snapshot.ts';
import type { HostState } from '../telemetry/documents.ts';
import { eachAtOnce } from '../terms/each-at-once.ts';
import { adminAnswer, isAdminAddress } from './admin-page.ts';
import { type DocumentName, FromError, readFrom } from './from.ts';
import type { HopReader } from './hop-reader.ts';

/** Where the events of one sidecar can be followed. */
export interface EventSource {
  /** For people. */
  readonly name: string;
  /** Opens the stream. @throws an error whose message says why not */
  open(lastEventId: string | undefined, signal: AbortSignal): Promise<IncomingMessage>;
}

const fromLanes = 16;

/** Reads a fleet again and again: through admin listeners and gathered files, and over the hop. */
export class FleetReader {
  readonly #from: readonly string[];
  readonly #hop: HopReader | undefined;

  /**
   * @param from as `--from` names them; none where everything is read over the hop
   * @param hop undefined without an operator's keyring
   */
  constructor(from: readonly string[], hop: HopReader | undefined) {
    this.#from = from;
    this.#hop = hop;
  }

  /** What all sidecars say now. One that cannot be read has `problem`, and holds up no other. */
  async read(wanted: readonly DocumentName[]): Promise<FleetSnapshot> {
    const read: HostState[][] = [];
    const [overHop = []] = await Promise.all([
      this.#hop?.read(wanted),
      eachAtOnce(
        [...this.#from.entries()],
        async ([at, from]) => {
          read[at] = await readFrom([from], wanted).catch((error: unknown) => [unread(from, error)]);
        },
        fromLanes,
      ),
    ]);
    return { takenAtMs: Date.now(), hosts: [...read.flat(), ...overHop] };
  }

  /** The text of `/metrics` of a sidecar that is read over the hop; undefined when there is no such host, or it cannot be read. */
  async metricsText(service: string, host: string): Promise<string | undefined> {
    return this.#hop?.metricsText(service, host);
  }

  /** Every sidecar that is read live. */
  get eventSources(): readonly EventSource[] {
    const hop = this.#hop;
    return [
      ...this.#from.filter(isAdminAddress).map((from) => ({
        name: from,
        open: (lastEventId: string | undefined, signal: AbortSignal) => openEvents(from, lastEventId, signal),
      })),
      ...(hop?.addresses ?? []).map((address) => ({
        name: `${address.service} at ${address.host}:${address.port}`,
        open: (lastEventId: string | undefined, signal: AbortSignal) =>
          (hop as HopReader).events(address, lastEventId, signal),
      })),
    ];
  }

  close(): void {
    this.#hop?.close();
  }
}

function unread(from: string, error: unknown): HostState {
  if (!(error instanceof FromError)) throw error;
  return { from, problem: error.found };
}

async function openEvents(
  from: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const fields = lastEventId === undefined ? undefined : { 'last-event-id': lastEventId };
  const response = await adminAnswer(from, '/events', signal, fields);
  if (response.statusCode === 200) return response;
  response.resume();
  throw new Error(`HTTP ${response.statusCode} for /events`);
}
