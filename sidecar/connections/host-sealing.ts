import type { SealingKey } from '../keyring/keyring.ts';
import type { HandshakeFailure } from '../terms/handshake.ts';

/** How long a failure is remembered at most before a background connection tries again. */
const longestRetryMs = 60_000;
const firstRetryMs = 1_000;

/**
 * What is known of whether a host proves its pair key. Calls go sealed until a handshake fails; then the failure is
 * remembered, for this host and generation, until a background connection succeeds: no call pays for another failure.
 */
export class HostSealing {
  #key: SealingKey | undefined;
  #failure: HandshakeFailure | undefined = undefined;
  /** When a connection was closed during its handshake, in ms of the caller's clock. */
  #closedAtMs: number | undefined = undefined;
  #retryMs = firstRetryMs;

  constructor(key: SealingKey | undefined) {
    this.#key = key;
  }

  get key(): SealingKey | undefined {
    return this.#key;
  }

  /** Why the host is not spoken to inside TLS; undefined when it is, or that is to be tried. */
  get unproven(): HandshakeFailure | undefined {
    return this.#key === undefined ? 'no-key' : this.#failure;
  }

  /** Takes up the key of the keyring in force. @returns whether it is another one */
  useKey(key: SealingKey | undefined): boolean {
    const before = this.#key;
    if (before?.kid === key?.kid && (before === undefined || key?.psk.equals(before.psk) === true))
      return false;
    this.#key = key;
    this.onProven();
    return true;
  }

  onProven(): void {
    this.#failure = undefined;
    this.#closedAtMs = undefined;
    this.#retryMs = firstRetryMs;
  }

  /**
   * A handshake has failed.
   *
   * A single closed connection tells nothing: a process that drains closes what it has accepted. One that was dialled
   * after that does.
   *
   * @returns milliseconds until a background connection tries again; undefined when nothing is remembered
   */
  onFailed(failure: HandshakeFailure, kid: string, dialledAtMs: number, nowMs: number): number | undefined {
    if (kid !== this.#key?.kid) return undefined;
    if (failure === 'closed' && this.#failure === undefined) {
      const isFirst = this.#closedAtMs === undefined || dialledAtMs <= this.#closedAtMs;
      this.#closedAtMs ??= nowMs;
      if (isFirst) return undefined;
    }
    this.#failure = failure;
    const retryMs = this.#retryMs;
    this.#retryMs = Math.min(longestRetryMs, 2 * retryMs);
    return retryMs;
  }
}
