import { join } from 'node:path';
import { dist } from '../../tools/build.ts';
import { Child } from './child.ts';
import type { HeldSocket } from './held-socket.ts';

export type Phase = 'logging' | 'enforcing';

/** What one sidecar of the local fleet is started with. */
export interface SidecarPlace {
  readonly service: string;
  readonly config: string;
  readonly log: string;
  /** Held by this process for as long as the fleet runs. */
  readonly sockets: readonly HeldSocket[];
}

/** Long enough for a drain that has nothing to wait for; the local fleet does not wait for idle clients. */
const stopGraceMs = 5_000;

/** How long a new binary may take until it is ready, or at the state lock. */
const startLimitMs = 20_000;

/** The sidecar of one service: which of the two binaries serves it, and the swap from one to the other. */
export class LocalSidecar {
  readonly place: SidecarPlace;
  #phase: Phase;
  #serving: Child;
  /** Swapped out, finishing what they accepted. */
  readonly #draining = new Set<Child>();
  #swap: Promise<unknown> = Promise.resolve();

  private constructor(place: SidecarPlace, phase: Phase, serving: Child) {
    this.place = place;
    this.#phase = phase;
    this.#serving = serving;
  }

  /** @throws {import('./child.ts').ChildError} when it ends before it is ready */
  static async start(place: SidecarPlace, phase: Phase): Promise<LocalSidecar> {
    const serving = startBinary(place, phase);
    await ready(serving, 'ready');
    return new LocalSidecar(place, phase, serving);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The process that serves now. */
  get serving(): Child {
    return this.#serving;
  }

  /**
   * Swaps the binary under the same sockets: the new one is started beside the old, waits for the state lock, gets
   * it when the old one has taken SIGTERM, and serves. One swap at a time. A new one that does not get as far
   * as the lock leaves everything as it was.
   *
   * @returns milliseconds from the SIGTERM to the new binary's readiness
   * @throws {import('./child.ts').ChildError}
   */
  swapTo(phase: Phase): Promise<number> {
    const swap = this.#swap.then(() => this.#replace(phase));
    this.#swap = swap.catch(() => undefined);
    return swap;
  }

  async #replace(phase: Phase): Promise<number> {
    const old = this.#serving;
    const next = startBinary(this.place, phase);
    await ready(next, 'at the lock', 'ready');
    this.#draining.add(old);
    const startedAt = performance.now();
    this.#serving = next;
    old.signal('SIGTERM');
    void old.ended.then(() => this.#draining.delete(old));
    await ready(next, 'ready');
    this.#phase = phase;
    return performance.now() - startedAt;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#serving, ...this.#draining].map((child) => child.stop(stopGraceMs)));
  }
}

function startBinary({ service, config, log, sockets }: SidecarPlace, phase: Phase): Child {
  return new Child({
    name: `the ${phase} sidecar of ${service}`,
    command: join(dist, `countersign-${phase}`),
    words: ['--config', config],
    log,
    sockets,
    milestones: { ready: /^ready$/, 'at the lock': /waiting for the state lock/ },
  });
}

async function ready(child: Child, ...milestones: readonly string[]): Promise<void> {
  const late = setTimeout(() => child.signal('SIGKILL'), startLimitMs);
  try {
    await child.reached(...milestones);
  } finally {
    clearTimeout(late);
  }
}
