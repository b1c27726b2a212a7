import { CoreError } from '../terms/errors.ts';
import { TokenBucket } from './token-bucket.ts';

/** What one calling service may use; what is not given is not limited. */
export interface Limits {
  readonly requests_per_minute?: number | undefined;
  /** Tokens of prompts and answers. */
  readonly tokens_per_minute?: number | undefined;
  readonly parallel_turns?: number | undefined;
  /** Bytes of its files that are not deleted. */
  readonly stored_bytes?: number | undefined;
}

/** The limits of core.yaml: for every caller, and others for some. */
export interface LimitsConfig extends Limits {
  readonly callers: Readonly<Record<string, Limits>>;
}

interface Usage {
  readonly limits: Limits;
  readonly requests: TokenBucket | undefined;
  readonly tokens: TokenBucket | undefined;
  turns: number;
}

/** A caller that waits for this long has room for another file only when it has deleted one. */
const storedRetryMs = 60_000;

/**
 * Keeps each calling service within its limits; all calls without a proven caller together are one. Counted in this core
 * service: with several of them a caller has as many times the rate.
 */
export class CallerLimits {
  readonly #config: LimitsConfig;
  readonly #now: () => number;
  readonly #usages = new Map<string, Usage>();

  /** @param now milliseconds of a clock that never steps */
  constructor(config: LimitsConfig, now: () => number = () => performance.now()) {
    this.#config = config;
    this.#now = now;
  }

  /** Counts a request. @throws {CoreError} `rate_limit_exceeded` */
  request(caller: string): void {
    const { requests, limits } = this.#usageOf(caller);
    const now = this.#now();
    const waitMs = requests?.waitMs(now) ?? 0;
    if (waitMs > 0) throw exceeded(`${limits.requests_per_minute} requests per minute`, waitMs);
    requests?.take(1, now);
  }

  /**
   * Lets a turn begin.
   *
   * @returns ends it; calling it again does nothing
   * @throws {CoreError} `rate_limit_exceeded`
   */
  beginTurn(caller: string): () => void {
    const usage = this.#usageOf(caller);
    const { limits, tokens } = usage;
    const waitMs = tokens?.waitMs(this.#now()) ?? 0;
    if (waitMs > 0) throw exceeded(`${limits.tokens_per_minute} tokens per minute`, waitMs);
    if (limits.parallel_turns !== undefined && usage.turns >= limits.parallel_turns) {
      throw exceeded(`${limits.parallel_turns} turns at a time`, 1000);
    }
    usage.turns++;
    let over = false;
    return () => {
      if (!over) usage.turns--;
      over = true;
    };
  }

  /** Counts the tokens of a prompt or an answer. */
  spend(caller: string, tokens: number): void {
    this.#usageOf(caller).tokens?.take(tokens, this.#now());
  }

  /** True when stored bytes have to be counted at all. */
  limitsStorage(caller: string): boolean {
    return this.#usageOf(caller).limits.stored_bytes !== undefined;
  }

  /** Refuses an upload of a caller that has stored so much. @throws {CoreError} `rate_limit_exceeded` */
  upload(caller: string, storedBytes: number): void {
    const { stored_bytes: limit } = this.#usageOf(caller).limits;
    if (limit !== undefined && storedBytes >= limit) throw exceeded(`${limit} stored bytes`, storedRetryMs);
  }

  #usageOf(caller: string): Usage {
    let usage = this.#usages.get(caller);
    if (usage === undefined) {
      const limits = { ...this.#config, ...this.#config.callers[caller] };
      const bucket = (perMinute: number | undefined) =>
        perMinute === undefined ? undefined : new TokenBucket(perMinute, this.#now());
      usage = {
        limits,
        requests: bucket(limits.requests_per_minute),
        tokens: bucket(limits.tokens_per_minute),
        turns: 0,
      };
      this.#usages.set(caller, usage);
    }
    return usage;
  }
}

function exceeded(limit: string, waitMs: number): CoreError {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new CoreError(
    'rate_limit_exceeded',
    `the caller is at its limit of ${limit}: try again in ${retryAfterSeconds} s`,
    { retryAfterSeconds },
  );
}
