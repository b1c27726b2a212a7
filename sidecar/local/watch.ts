import { get } from 'node:http';
import { type DenialDocument, denialsSchema } from '../telemetry/documents.ts';
import type { LocalService } from './layout.ts';
import type { Phase } from './local-sidecar.ts';

/** What one sidecar has done since the fleet started, whichever binaries served. */
export interface Activity {
  readonly service: LocalService;
  readonly phase: Phase | undefined;
  readonly callsIn: number;
  readonly callsOut: number;
  readonly denials: number;
}

type Counts = Pick<Activity, 'callsIn' | 'callsOut' | 'denials'>;

const none: Counts = { callsIn: 0, callsOut: 0, denials: 0 };

/** Reads the admin listeners of the local fleet. */
export class Watch {
  readonly #services: readonly LocalService[];
  readonly #phaseOf: (service: string) => Phase | undefined;
  readonly #before = new Map<string, Counts>();
  readonly #last = new Map<string, Counts>();
  readonly #latest = new Map<string, string>();

  constructor(services: readonly LocalService[], phaseOf: (service: string) => Phase | undefined) {
    this.#services = services;
    this.#phaseOf = phaseOf;
  }

  /** The state of every sidecar; one that does not answer just now keeps its last figures. */
  async activity(): Promise<Activity[]> {
    return Promise.all(
      this.#services.map(async (service) => ({
        service,
        phase: this.#phaseOf(service.name),
        ...(await this.#countsOf(service)),
      })),
    );
  }

  /** Denials that no earlier call has returned, oldest first, as the callee's sidecar tells them. */
  async newDenials(): Promise<DenialDocument[]> {
    const all = await Promise.all(this.#services.map((service) => this.#denialsOf(service)));
    return all.flat().sort((a, b) => (a.time < b.time ? -1 : 1));
  }

  /** Counters begin anew with each binary: what the earlier ones counted is added. */
  async #countsOf({ name, admin }: LocalService): Promise<Counts> {
    let now: Counts;
    try {
      now = countsIn(await read(admin, '/metrics'));
    } catch {
      return sum(this.#before.get(name), this.#last.get(name));
    }
    const last = this.#last.get(name) ?? none;
    if (now.callsIn < last.callsIn || now.callsOut < last.callsOut || now.denials < last.denials) {
      this.#before.set(name, sum(this.#before.get(name), last));
    }
    this.#last.set(name, now);
    return sum(this.#before.get(name), now);
  }

  async #denialsOf({ name, admin }: LocalService): Promise<DenialDocument[]> {
    try {
      const { denials } = denialsSchema.parse(JSON.parse(await read(admin, '/denials')));
      const since = this.#latest.get(name) ?? '';
      const fresh = denials.filter(({ direction, time }) => direction === 'inbound' && time > since);
      const newest = fresh[0]?.time;
      if (newest !== undefined) this.#latest.set(name, newest);
      return fresh;
    } catch {
      return [];
    }
  }
}

/** The calls and denials in a sidecar's /metrics. A call's denial is counted where it was judged: inbound. */
export function countsIn(metrics: string): Counts {
  let [callsIn, callsOut, denials] = [0, 0, 0];
  for (const [, labels, value] of metrics.matchAll(/^countersign_requests_total\{([^}]*)\} (\d+)/gm)) {
    const count = Number(value);
    if (labels?.includes('direction="outbound"')) callsOut += count;
    else callsIn += count;
    if (labels?.includes('direction="inbound"') && labels.includes('verdict="denied"')) denials += count;
  }
  return { callsIn, callsOut, denials };
}

function sum(a: Counts = none, b: Counts = none): Counts {
  return {
    callsIn: a.callsIn + b.callsIn,
    callsOut: a.callsOut + b.callsOut,
    denials: a.denials + b.denials,
  };
}

function read(port: number, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = get({ host: '127.0.0.1', port, path, timeout: 1_000, agent: false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.once('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    response.once('error', reject);
  });
  asked.once('timeout', () => asked.destroy(new Error('timeout')));
  asked.once('error', reject);
  return promise;
}
