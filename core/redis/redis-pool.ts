import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
} from 'cockatiel';
import type { FastifyBaseLogger } from 'fastify';
import type { Registry } from 'prom-client';
import type { RedisConfig } from '../config/core-config.ts';
import { type RedisSecrets, readRedisSecrets } from '../config/redis-secrets.ts';
import { connect, type RedisClient } from './connect.ts';
import { isUnavailable, RedisUnavailable } from './errors.ts';
import { RedisMetrics } from './metrics.ts';
import type { BreakerState, CommandOutcome, DatabaseName, RedisStatistics } from './statistics.ts';
import { Traffic } from './traffic.ts';

/** So many failures in a row open the breaker. */
const failuresToOpen = 5;
/** How long an open breaker keeps everything from Redis before it tries again. */
const openMs = 1000;
const healthIntervalMs = 1000;

/**
 * The one way to Redis: a small pool of connections for each named database, behind one circuit breaker. No call takes
 * longer than the command timeout, and while the breaker is open none takes any time at all.
 */
export class RedisPool {
  readonly #clients: ReadonlyMap<DatabaseName, readonly RedisClient[]>;
  readonly #commandMs: number;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #timeout;
  readonly #metrics: RedisMetrics;
  readonly #traffic = new Traffic();
  readonly #health: NodeJS.Timeout;
  #next = 0;
  #commands = 0;
  #errors = 0;

  /**
   * Opens the connections and waits until each is ready or has failed once, but no longer than `connectMs`: Redis is
   * not needed to start.
   *
   * @param commandMs what one command may take
   * @throws {ConfigError} when a file with a secret or certificate can't be read
   */
  static async open(
    config: RedisConfig,
    commandMs: number,
    connectMs: number,
    registry: Registry,
    log: FastifyBaseLogger,
  ): Promise<RedisPool> {
    const pool = new RedisPool(config, await readRedisSecrets(config), commandMs, registry, log);
    await pool.#ready(connectMs);
    return pool;
  }

  private constructor(
    config: RedisConfig,
    secrets: RedisSecrets,
    commandMs: number,
    registry: Registry,
    log: FastifyBaseLogger,
  ) {
    this.#commandMs = commandMs;
    this.#timeout = timeout(commandMs, TimeoutStrategy.Aggressive);
    this.#breaker = circuitBreaker(handleWhen(isUnavailable), {
      halfOpenAfter: openMs,
      breaker: new ConsecutiveBreaker(failuresToOpen),
    });
    this.#breaker.onStateChange(() =>
      log.warn({ breaker: this.state }, 'the Redis circuit breaker changed its state'),
    );
    this.#metrics = new RedisMetrics(registry, () => this.statistics);
    this.#clients = new Map(
      Object.entries(config.databases).map(([name, database]) => [
        name as DatabaseName,
        Array.from({ length: config.pool }, () => this.#connect(config, secrets, database, log)),
      ]),
    );
    this.#health = setInterval(() => this.#checkHealth(), healthIntervalMs).unref();
  }

  get state(): BreakerState {
    const { state } = this.#breaker;
    if (state === CircuitState.Closed) return 'closed';
    return state === CircuitState.HalfOpen ? 'half-open' : 'open';
  }

  get statistics(): RedisStatistics {
    return {
      state: this.state,
      readyConnections: this.#all().filter(({ status }) => status === 'ready').length,
      commands: this.#commands,
      errors: this.#errors,
      bytesRead: this.#traffic.bytesRead,
      bytesWritten: this.#traffic.bytesWritten,
    };
  }

  /**
   * Runs one command, or one MULTI, on a connection of a named database.
   *
   * @param command its name for the statistics
   * @throws {RedisUnavailable} when Redis did not serve it within the command timeout, or the breaker is open
   * @throws {Error} Redis's reply, when it refused the command itself
   */
  async run<Result>(
    database: DatabaseName,
    command: string,
    work: (client: RedisClient) => Promise<Result>,
  ): Promise<Result> {
    const client = this.#choose(database);
    const started = performance.now();
    this.#commands++;
    try {
      const result = await this.#breaker.execute(() => this.#timeout.execute(() => work(client)));
      this.#metrics.observe(database, command, 'ok', performance.now() - started);
      return result;
    } catch (error) {
      this.#errors++;
      const outcome = outcomeOf(error);
      this.#metrics.observe(database, command, outcome, performance.now() - started);
      if (outcome === 'error' && !isUnavailable(error)) throw error;
      throw new RedisUnavailable(this.#explain(outcome, command, error as Error), { cause: error });
    }
  }

  /** Closes all connections at once; commands that are under way fail. */
  close(): void {
    clearInterval(this.#health);
    for (const client of this.#all()) client.disconnect();
  }

  #explain(outcome: CommandOutcome, command: string, error: Error): string {
    if (outcome === 'rejected') return 'Redis failed lately; it is tried again within a second';
    if (outcome === 'timeout') return `Redis did not answer ${command} within ${this.#commandMs} ms`;
    return `Redis did not serve ${command}: ${error.message}`;
  }

  /** The next connection in turn that is ready; any when none is. */
  #choose(database: DatabaseName): RedisClient {
    const clients = this.#clients.get(database) as readonly RedisClient[];
    const start = this.#next++ % clients.length;
    const inTurn = [...clients.slice(start), ...clients.slice(0, start)];
    return inTurn.find(({ status }) => status === 'ready') ?? (inTurn[0] as RedisClient);
  }

  #all(): RedisClient[] {
    return [...this.#clients.values()].flat();
  }

  async #ready(withinMs: number): Promise<void> {
    const waiting = this.#all().filter(({ status }) => status !== 'ready');
    const limit = AbortSignal.timeout(withinMs);
    await Promise.all(
      waiting.map(
        (client) =>
          new Promise<void>((resolve) => {
            client.once('ready', resolve);
            client.once('close', resolve);
            limit.addEventListener('abort', () => resolve());
          }),
      ),
    );
  }

  /** Finds out, also when nobody asks Redis anything, that it is gone or back. */
  #checkHealth(): void {
    for (const [database, clients] of this.#clients) {
      for (const _ of clients) this.run(database, 'ping', (client) => client.ping()).catch(() => undefined);
    }
  }

  #connect(
    config: RedisConfig,
    secrets: RedisSecrets,
    database: number,
    log: FastifyBaseLogger,
  ): RedisClient {
    const client = connect(config, secrets, database, this.#commandMs);
    this.#traffic.watch(client);
    let told = false;
    client.on('error', (error: Error) => {
      // Once for each outage: a client that reconnects reports every attempt.
      if (!told) log.warn({ err: error }, 'a Redis connection failed; reconnecting');
      told = true;
    });
    client.on('ready', () => {
      told = false;
    });
    return client;
  }
}

function outcomeOf(error: unknown): CommandOutcome {
  if (error instanceof BrokenCircuitError) return 'rejected';
  return error instanceof TaskCancelledError ? 'timeout' : 'error';
}
