import { setTimeout as sleep } from 'node:timers/promises';
import type { Membership } from '../membership/membership.ts';
import type { TurnStore, TurnTicket } from '../store/turn-store.ts';
import type { AdmittedTurn } from '../terms/conversation.ts';
import { CoreError } from '../terms/errors.ts';
import { keyOfOwner, type Owner } from '../terms/owner.ts';
import { SessionQueue } from './session-queue.ts';

/** How often a turn that waits for another core service's turn looks again; grows from the first to the second. */
const pollMs = { first: 25, most: 250 };
/** How often a turn gets back in line after its core service was taken for dead. */
const attempts = 3;

/** Whose turn it is going to be, in which session. */
export interface LineRequest {
  readonly owner: Owner;
  readonly session: string;
  readonly idempotencyKey: string | null;
}

/** A turn that runs, alone in its session among all core services. */
export interface Admission {
  readonly epoch: number;
  readonly start: AdmittedTurn;
  /** Lets the next turn run. When this turn was not stored, it never happened. Calling it again does nothing. */
  leave(stored: boolean): void;
}

/**
 * Lets one turn of a session run at a time, in the order in which they came: among the turns of this core service by a
 * queue, among those of all core services by the line in the database.
 */
export class SessionLine {
  readonly #queue = new SessionQueue();
  readonly #turns: TurnStore;
  readonly #membership: Membership;

  constructor(turns: TurnStore, membership: Membership) {
    this.#turns = turns;
    this.#membership = membership;
  }

  /**
   * Waits for the turns before.
   *
   * @throws the signal's reason when it is aborted while waiting
   */
  async enter(request: LineRequest, signal: AbortSignal): Promise<Admission> {
    const end = await this.#queue.enter(`${keyOfOwner(request.owner)}/${request.session}`, signal);
    try {
      const { epoch, start } = await this.#enter(request, signal);
      let left = false;
      return {
        epoch,
        start,
        leave: (stored) => {
          if (left) return;
          left = true;
          // An epoch that stays in line because the database failed is an orphan once this core service ends.
          if (stored) end();
          else void this.#leave(epoch).finally(end);
        },
      };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Resolves when no turn runs or waits. */
  whenIdle(): Promise<void> {
    return this.#queue.whenIdle();
  }

  async #enter(request: LineRequest, signal: AbortSignal): Promise<{ epoch: number; start: AdmittedTurn }> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const ticket: TurnTicket = {
        owner: request.owner,
        sessionId: request.session,
        idempotencyKey: request.idempotencyKey,
        coreId: this.#membership.coreId,
      };
      const entered = await this.#turns.enter(ticket);
      if (entered === null) {
        await this.#membership.rejoin();
        continue;
      }
      const { epoch } = entered;
      const start = entered.admitted ?? (await this.#wait(epoch, ticket, signal));
      if (start === undefined) continue;
      if (!signal.aborted) return { epoch, start };
      await this.#leave(epoch);
      throw signal.reason;
    }
    throw new CoreError('session_taken_over', 'other core services took this one for dead: try again');
  }

  /** Undefined when the turn was taken out of the line. */
  async #wait(epoch: number, ticket: TurnTicket, signal: AbortSignal): Promise<AdmittedTurn | undefined> {
    let delayMs = pollMs.first;
    try {
      for (;;) {
        const standing = await this.#turns.standing(epoch, ticket);
        if (standing === 'lost') return undefined;
        const start = standing === 'next' ? await this.#turns.admit(epoch, ticket) : null;
        if (start !== null) return start;
        await sleep(delayMs, undefined, { signal });
        delayMs = Math.min(2 * delayMs, pollMs.most);
      }
    } catch (error) {
      await this.#leave(epoch);
      throw signal.aborted ? signal.reason : error;
    }
  }

  async #leave(epoch: number): Promise<void> {
    await this.#turns.leave(epoch).catch(() => this.#membership.abandon(epoch));
  }
}
