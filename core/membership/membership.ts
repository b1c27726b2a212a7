import { randomUUID } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { CoreBeat, MemberStore } from '../store/member-store.ts';
import type { TurnStore } from '../store/turn-store.ts';
import { Liveness } from './liveness.ts';
import { hasEnded, ownProcess } from './process-identity.ts';

const heartbeatMs = 2_000;
const leaseMs = 8_000;
/** How often the others are looked at: a death is noticed at most this much after its lease. */
const observeMs = 500;
const orphansPerRead = 100;

/** How the database was when it was last asked. */
export type MembershipState = 'joined' | 'cut-off';

/**
 * This core service among those that share its database. It beats every 2 seconds; another one whose count stands still for 8
 * seconds, or whose process on this machine has ended, is buried, and what its turns have left is kept. One core service
 * alone does the same after a crash of its predecessor.
 */
export class Membership {
  readonly #members: MemberStore;
  readonly #turns: TurnStore;
  readonly #log: FastifyBaseLogger;
  readonly #process: string;
  readonly #liveness = new Liveness(leaseMs, 2 * observeMs);
  #coreId = randomUUID();
  #state: MembershipState = 'joined';
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #rejoining: Promise<void> | undefined;
  readonly #abandoned = new Set<number>();
  #closed = false;
  #beatenAt = Number.NEGATIVE_INFINITY;
  #observedAt = performance.now();

  private constructor(members: MemberStore, turns: TurnStore, log: FastifyBaseLogger, process: string) {
    this.#members = members;
    this.#turns = turns;
    this.#log = log;
    this.#process = process;
  }

  /**
   * Joins, and recovers what dead core services of this machine have left. Goes on by itself where the database does not let
   * it do so yet.
   */
  static async join(members: MemberStore, turns: TurnStore, log: FastifyBaseLogger): Promise<Membership> {
    const membership = new Membership(members, turns, log, await ownProcess());
    await membership.#start();
    return membership;
  }

  /** Names this core service to the others. Changes when it was taken for dead. */
  get coreId(): string {
    return this.#coreId;
  }

  get state(): MembershipState {
    return this.#state;
  }

  /** Joins again after it was taken for dead: with a new name, since its turns are others' now. */
  rejoin(): Promise<void> {
    this.#rejoining ??= this.#register().finally(() => {
      this.#rejoining = undefined;
    });
    return this.#rejoining;
  }

  /** Takes a turn out of the line once the database answers again. */
  abandon(epoch: number): void {
    this.#abandoned.add(epoch);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.#members
      .leave(this.#coreId)
      .catch((error) => this.#log.warn({ err: error }, 'could not leave the list of core services'));
  }

  async #start(): Promise<void> {
    try {
      await this.#register();
    } catch (error) {
      this.#cutOff(error);
    }
    await this.#tick();
    await this.#recover().catch((error) => this.#cutOff(error));
  }

  async #register(): Promise<void> {
    const coreId = randomUUID();
    await this.#members.register(coreId, this.#process);
    this.#coreId = coreId;
    this.#beatenAt = performance.now();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#working = this.#tick();
    }, observeMs).unref();
  }

  async #tick(): Promise<void> {
    try {
      const now = performance.now();
      if (now - this.#beatenAt >= heartbeatMs) await this.#beat(now);
      await this.#observe(now);
      if (this.#state === 'cut-off') this.#log.info('the database answers again');
      this.#state = 'joined';
    } catch (error) {
      this.#cutOff(error);
    }
    this.#schedule();
  }

  async #beat(now: number): Promise<void> {
    if (!(await this.#members.beat(this.#coreId))) {
      this.#log.warn('this core service was taken for dead; joining again');
      await this.rejoin();
    }
    this.#beatenAt = now;
    for (const epoch of this.#abandoned) {
      await this.#turns.leave(epoch);
      this.#abandoned.delete(epoch);
    }
    await this.#recover();
  }

  async #observe(now: number): Promise<void> {
    const others = (await this.#members.list()).filter(({ coreId }) => coreId !== this.#coreId);
    const silent = new Set(this.#liveness.observe(others, now - this.#observedAt));
    this.#observedAt = now;
    let buried = false;
    for (const core of others) {
      if (silent.has(core) || (await hasEnded(core.process))) buried = (await this.#bury(core)) || buried;
    }
    if (buried) await this.#recover();
  }

  async #bury(core: CoreBeat): Promise<boolean> {
    const buried = await this.#members.bury(core);
    if (buried) this.#log.warn({ core: core.coreId }, 'a core service is dead; taking over its turns');
    return buried;
  }

  /** Keeps, as interrupted, the answers that dead core services have left half-way. */
  async #recover(): Promise<void> {
    let answers = 0;
    for (;;) {
      const epochs = await this.#turns.orphans(orphansPerRead);
      for (const epoch of epochs) if (await this.#turns.recover(epoch)) answers++;
      if (epochs.length < orphansPerRead) break;
    }
    if (answers > 0) this.#log.warn({ answers }, 'kept answers that were cut off when a core service ended');
  }

  #cutOff(error: unknown): void {
    if (this.#state === 'joined') this.#log.error({ err: error }, 'the database does not answer');
    this.#state = 'cut-off';
  }
}
