import type { Upstream } from '../connections/client-connection.ts';
import type { Downstream } from '../connections/server-connection.ts';

/** A WebSocket that both ends have agreed to: bytes pass as they come, in both directions. */
export class Tunnel {
  readonly #downstream: Downstream;
  readonly #upstream: Upstream;

  constructor(downstream: Downstream, upstream: Upstream) {
    this.#downstream = downstream;
    this.#upstream = upstream;
  }

  /** To the upstream. @returns false to read no more for now */
  up(buffer: Buffer, start: number, end: number): boolean {
    this.#upstream.keepTunnel();
    const more = this.#upstream.socket.write(Buffer.from(buffer.subarray(start, end)));
    if (!more) this.#downstream.block();
    return more;
  }

  /** To the client. */
  down(buffer: Buffer, start: number, end: number): void {
    this.#downstream.keepTunnel();
    if (!this.#downstream.socket.write(Buffer.from(buffer.subarray(start, end)))) this.#upstream.block();
  }

  /** The client has sent its FIN. */
  endUp(): void {
    this.#upstream.socket.end();
  }

  /** The upstream has sent its FIN. */
  endDown(): void {
    this.#downstream.socket.end();
  }
}
