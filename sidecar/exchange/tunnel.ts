import type { CalleeEnd, CallerEnd } from './ends.ts';
import { goingAway, maskedGoingAway, WebSocketFrames } from './websocket-frames.ts';

/** How long both directions have to come to the end of a frame once the tunnel is retired. */
const retirementMs = 5_000;

/** One direction of a tunnel. */
interface Direction {
  readonly frames: WebSocketFrames;
  readonly closeFrame: Buffer;
  write(buffer: Buffer, start: number, end: number): boolean;
  /** A Close frame was sent: nothing passes any more. */
  isClosed: boolean;
}

/** A WebSocket that both ends have agreed to: bytes pass as they come, in both directions. */
export class Tunnel {
  readonly #caller: CallerEnd;
  readonly #callee: CalleeEnd;
  readonly #up: Direction;
  readonly #down: Direction;
  #isRetired = false;

  constructor(caller: CallerEnd, callee: CalleeEnd) {
    this.#caller = caller;
    this.#callee = callee;
    this.#up = direction(maskedGoingAway, (buffer, start, end) => callee.writeTunnel(buffer, start, end));
    this.#down = direction(goingAway, (buffer, start, end) => caller.writeTunnel(buffer, start, end));
  }

  /** To the callee. @returns false to read no more for now */
  up(buffer: Buffer, start: number, end: number): boolean {
    this.#callee.keepTunnel();
    const more = this.#pass(this.#up, buffer, start, end);
    if (!more) this.#caller.block();
    return more;
  }

  /** To the caller. */
  down(buffer: Buffer, start: number, end: number): void {
    this.#caller.keepTunnel();
    if (!this.#pass(this.#down, buffer, start, end)) this.#callee.block();
  }

  #pass(way: Direction, buffer: Buffer, start: number, end: number): boolean {
    if (way.isClosed) return true;
    const boundary = way.frames.take(buffer, start, end);
    if (!this.#isRetired || boundary === undefined) return way.write(buffer, start, end);
    const more = way.write(buffer, start, boundary);
    this.#close(way);
    return more;
  }

  /** Ends the tunnel with Close frames (1001), each behind a whole frame, to both ends. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    for (const way of [this.#up, this.#down]) if (way.frames.isBetweenFrames) this.#close(way);
    setTimeout(() => this.#end(), retirementMs).unref();
  }

  #close(way: Direction): void {
    way.isClosed = true;
    way.write(way.closeFrame, 0, way.closeFrame.length);
    if (this.#up.isClosed && this.#down.isClosed) this.#end();
  }

  #end(): void {
    this.#callee.closeTunnel();
    this.#caller.closeTunnel();
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

function direction(closeFrame: Buffer, write: Direction['write']): Direction {
  return { frames: new WebSocketFrames(), closeFrame, write, isClosed: false };
}
