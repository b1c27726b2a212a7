import { Client, type ClientConfig, Pool, type PoolClient, types } from 'pg';
import { DatabaseError } from '../errors.ts';

/** Where PostgreSQL is and how to get in. */
export interface PostgresServers {
  /** In the order in which they are tried; the one that is not a replica is used. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
  /** PEM of the authority that signed the servers' certificates; without it the connection is not encrypted. */
  readonly ca?: string | undefined;
}

const int8 = 20;
const numeric = 1700;
const asNumbers: ClientConfig['types'] = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 || oid === numeric ? Number : types.getTypeParser(oid, format as 'text'),
};

/**
 * Connections to the primary among several servers: pools of `size`, one for each host, of which one is used. After a
 * fail-over the next connection goes to the server that has become the primary.
 */
export class PrimaryPool {
  readonly #pools: readonly Pool[];
  readonly #size: number;
  #current = 0;

  /**
   * @param size most connections at a time
   * @param timeoutMs what getting a connection, or one statement, may take
   */
  constructor(servers: PostgresServers, size: number, timeoutMs: number, onError: (error: Error) => void) {
    this.#size = size;
    this.#pools = servers.hosts.map(({ host, port }) => {
      const pool = new Pool({
        host,
        port,
        database: servers.database,
        user: servers.user,
        ...(servers.password === undefined ? {} : { password: servers.password }),
        ...(servers.ca === undefined ? {} : { ssl: { ca: servers.ca, servername: host } }),
        application_name: 'countersign-core',
        max: size,
        connectionTimeoutMillis: timeoutMs,
        // The server ends what takes too long; when the server itself hangs, the client does a moment later.
        statement_timeout: timeoutMs,
        query_timeout: timeoutMs + 500,
        idle_in_transaction_session_timeout: 2 * timeoutMs,
        keepAlive: true,
        types: asNumbers,
        Client,
      });
      pool.on('error', onError);
      // A connection that fails while it is out of the pool, between two statements: the next one says so.
      pool.on('connect', (client) => client.on('error', () => undefined));
      return pool;
    });
  }

  get size(): number {
    return this.#size;
  }

  /**
   * A connection to the primary. Its `release` closes it instead when it has failed.
   *
   * @throws the error of the last host, when none is a primary
   */
  async connect(): Promise<PooledConnection> {
    let failure: unknown;
    for (let attempt = 0; attempt < this.#pools.length; attempt++) {
      const index = (this.#current + attempt) % this.#pools.length;
      try {
        const connection = new PooledConnection(await (this.#pools[index] as Pool).connect());
        if (await connection.isPrimary()) {
          this.#current = index;
          return connection;
        }
        connection.discard();
        failure = new DatabaseError(
          'database-unreachable',
          'found only replicas among the hosts of postgres.url, expected one that takes writes',
        );
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async end(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
  }
}

const checked = new WeakSet<PoolClient>();

/** A connection that is out of its pool. Looks like pg's own, as far as kysely uses it. */
export class PooledConnection {
  readonly #client: PoolClient;
  #broken = false;
  #released = false;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  get processID(): number | undefined {
    return (this.#client as unknown as { processID?: number }).processID;
  }

  async query(text: string, parameters: readonly unknown[] = []) {
    try {
      return await this.#client.query(text, parameters.map(withoutNul));
    } catch (error) {
      // Anything but the server's own word on a statement leaves it unknown what the connection will say next.
      const { severity, code = '' } = error as { severity?: string; code?: string };
      if (severity !== 'ERROR' || code === readOnlyTransaction) this.#broken = true;
      throw error;
    }
  }

  /** False of a replica. Asked once for each connection: a primary that steps down closes its connections, or refuses writes. */
  async isPrimary(): Promise<boolean> {
    if (checked.has(this.#client)) return true;
    const { rows } = await this.query('SELECT pg_is_in_recovery() AS replica');
    if ((rows as { replica: boolean }[])[0]?.replica !== false) return false;
    checked.add(this.#client);
    return true;
  }

  release(broken = false): void {
    if (this.#released) return;
    this.#released = true;
    this.#client.release(broken || this.#broken);
  }

  discard(): void {
    this.release(true);
  }
}

/** PostgreSQL keeps no NUL in texts. */
function withoutNul(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
}

const readOnlyTransaction = '25006';
