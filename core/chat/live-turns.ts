import { CoreError } from '../terms/errors.ts';
import { eventId, type SeenUpTo } from './followed-turns.ts';

/** How long the events of a turn that is over are kept for clients that lost their connection, and how much of them. */
const keptMs = 30_000;
const keptCharacters = 64 * 1024 * 1024;

/** Somebody asked to stop the turn. */
export class TurnStopped extends CoreError {
  constructor() {
    super('turn_stopped', 'the turn was stopped; what was said of its answer is kept as interrupted');
  }
}

interface Event {
  readonly data: string;
  /** Characters of the answer's text up to here. */
  readonly characters: number;
}

/** A turn of a session while it runs, and a little longer: what it has said, who listens, and what ends it. */
export class LiveTurn {
  readonly id: string;
  /** Ends the model's work: the turn has taken too long, was stopped, or nobody listens any more. */
  readonly signal: AbortSignal;
  /** Resolves when the turn is stored. */
  readonly over: Promise<void>;
  readonly #stop = new AbortController();
  readonly #graceMs: number;
  readonly #events: Event[] = [];
  #characters = 0;
  #size = 0;
  #state: { readonly kind: 'running' } | { readonly kind: 'ended'; readonly error: unknown } = {
    kind: 'running',
  };
  #listeners = 0;
  #grace: NodeJS.Timeout | undefined;
  #wake: (() => void)[] = [];
  #end = () => {};

  /**
   * @param ends ends the turn whoever listens
   * @param graceMs how long the turn goes on when nobody listens
   */
  constructor(id: string, ends: AbortSignal, graceMs: number) {
    this.id = id;
    this.#graceMs = graceMs;
    this.signal = AbortSignal.any([ends, this.#stop.signal]);
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Characters of all events. */
  get size(): number {
    return this.#size;
  }

  get running(): boolean {
    return this.#state.kind === 'running';
  }

  stop(): void {
    this.#stop.abort(new TurnStopped());
  }

  /** Somebody waits for this turn. @returns leaves, once */
  listen(): () => void {
    this.#listeners++;
    clearTimeout(this.#grace);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#listeners--;
      if (this.#listeners > 0 || !this.running) return;
      this.#grace = setTimeout(() => this.#stop.abort(), this.#graceMs);
    };
  }

  push(data: string, addedCharacters: number): void {
    this.#characters += addedCharacters;
    this.#size += data.length;
    this.#events.push({ data, characters: this.#characters });
    this.#wakeAll();
  }

  /** @param error undefined when the answer is whole */
  end(error: unknown): void {
    this.#state = { kind: 'ended', error };
    clearTimeout(this.#grace);
    this.#wakeAll();
    this.#end();
  }

  /**
   * The events after those that a client has seen, as text of an event stream with ids, as many at a time as there are.
   *
   * @param seen undefined: none
   * @param gone the reader has hung up
   * @throws what the turn failed with
   */
  async *read(seen: SeenUpTo | undefined, gone: AbortSignal): AsyncGenerator<string, void, void> {
    const leave = this.listen();
    gone.addEventListener('abort', leave, { once: true });
    try {
      for (let next = this.#after(seen); ; ) {
        let text = '';
        for (; next < this.#events.length; next++) {
          const { data, characters } = this.#events[next] as Event;
          text += eventId({ turn: this.id, number: next + 1, characters }) + data;
        }
        if (text !== '') yield text;
        else if (this.#state.kind === 'running')
          await new Promise<void>((resolve) => this.#wake.push(resolve));
        else if (this.#state.error === undefined) return;
        else throw this.#state.error;
        if (gone.aborted) return;
      }
    } finally {
      gone.removeEventListener('abort', leave);
      leave();
    }
  }

  /** How many events are not sent. Who followed on another core service has counted characters. */
  #after(seen: SeenUpTo | undefined): number {
    if (seen === undefined || seen.number > 0 || seen.characters === 0) return seen?.number ?? 0;
    const next = this.#events.findIndex(({ characters }) => characters > seen.characters);
    return next === -1 ? this.#events.length : next;
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

/** The turns that run on this core service or have just ended, the newest of each session. */
export class LiveTurns {
  readonly #graceMs: number;
  readonly #turns = new Map<string, LiveTurn>();
  #keptSize = 0;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** @param key names the session of one owner */
  begin(key: string, turnId: string, ends: AbortSignal): LiveTurn {
    const turn = new LiveTurn(turnId, ends, this.#graceMs);
    this.#turns.set(key, turn);
    void turn.over.then(() => this.#keep(key, turn));
    return turn;
  }

  find(key: string): LiveTurn | undefined {
    return this.#turns.get(key);
  }

  #keep(key: string, turn: LiveTurn): void {
    if (this.#keptSize + turn.size > keptCharacters) {
      this.#forget(key, turn);
      return;
    }
    this.#keptSize += turn.size;
    setTimeout(() => {
      this.#keptSize -= turn.size;
      this.#forget(key, turn);
    }, keptMs).unref();
  }

  #forget(key: string, turn: LiveTurn): void {
    if (this.#turns.get(key) === turn) this.#turns.delete(key);
  }
}
