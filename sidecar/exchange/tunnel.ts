import type { CalleeEnd, CallerEnd } from './ends.ts';

/** A WebSocket that both ends have agreed to: bytes pass as they come, in both directions. */
export class Tunnel {
  readonly #caller: CallerEnd;
  readonly #callee: CalleeEnd;

  constructor(caller: CallerEnd, callee: CalleeEnd) {
    this.#caller = caller;
    this.#callee = callee;
  }

  /** To the callee. @returns false to read no more for now */
  up(buffer: Buffer, start: number, end: number): boolean {
    this.#callee.keepTunnel();
    const more = this.#callee.writeTunnel(buffer, start, end);
    if (!more) this.#caller.block();
    return more;
  }

  /** To the caller. */
  down(buffer: Buffer, start: number, end: number): void {
    this.#caller.keepTunnel();
    if (!this.#caller.writeTunnel(buffer, start, end)) this.#callee.block();
  }

  /** The caller has ended its half. */
  endUp(): void {
    this.#callee.endTunnel();
  }

  /** The callee has ended its half. */
  endDown(): void {
    this.#caller.endTunnel();
  }
}
