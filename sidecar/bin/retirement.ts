import type { ServerConnection } from '../connections/server-connection.ts';
import type { Keyring } from '../keyring/keyring.ts';

/** A timer takes no more milliseconds than this. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Ends sealed inbound connections with the key that proved them: at once when the key was revoked, and without
 * breaking a call when its `not_after` comes.
 */
export class Retirement {
  readonly #connections: ReadonlySet<ServerConnection>;
  #keyring: Keyring;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(keyring: Keyring, connections: ReadonlySet<ServerConnection>) {
    this.#keyring = keyring;
    this.#connections = connections;
    this.#watch();
  }

  /** Follows a new keyring: a key that is not in it any more is revoked. */
  onKeyring(keyring: Keyring): void {
    this.#keyring = keyring;
    for (const connection of this.#connections) {
      const { peer } = connection;
      if (peer !== undefined && !keyring.inbound.has(peer.kid)) connection.abort();
    }
    this.#watch();
  }

  /** Waits for the next `not_after`. */
  #watch(): void {
    clearTimeout(this.#timer);
    const nowMs = Date.now();
    const next = Math.min(
      ...[...this.#keyring.inbound.values()].map(({ notAfterMs }) => notAfterMs).filter((ms) => ms > nowMs),
    );
    if (!Number.isFinite(next)) return;
    this.#timer = setTimeout(() => this.#retire(), Math.min(longestTimerMs, next - nowMs)).unref();
  }

  #retire(): void {
    const nowMs = Date.now();
    for (const connection of this.#connections) {
      const key = connection.peer && this.#keyring.inbound.get(connection.peer.kid);
      if (key !== undefined && key.notAfterMs <= nowMs) connection.retire();
    }
    this.#watch();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
