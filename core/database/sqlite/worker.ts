import type { DatabaseSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Connection } from '../connection.ts';
import { DatabaseError, type ErrorMessage, toErrorMessage } from '../errors.ts';
import type { Migration } from '../migrations.ts';
import { queries } from '../queries/index.ts';
import type { Query } from '../query.ts';
import { connect, type Deadline } from './connect.ts';
import { describeSqliteError, isSqliteError } from './errors.ts';
import { FileIdentity } from './file-identity.ts';
import { migrate } from './migrate.ts';
import { openForReading, openForWriting } from './open-file.ts';

/** What the thread is told when it starts. */
export interface WorkerData {
  readonly role: 'writer' | 'reader' | 'slow reader';
  readonly file: string;
  readonly busyTimeoutMs: number;
  readonly slowReadMs: number;
  readonly migrations: readonly Migration[];
}

export type Request = { readonly id: number; readonly name: string; readonly args: unknown } | 'close';

/** The first message of a thread. */
export type Ready =
  | { readonly version: number; readonly target: number; readonly problem?: ErrorMessage }
  | { readonly fatal: ErrorMessage };

export type Response =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorMessage };

/** At most so many writes share one commit, so that the first of them does not wait long for its answer. */
const writesPerCommit = 64;

const port = parentPort as MessagePort;
const { role, file, busyTimeoutMs, slowReadMs, migrations } = workerData as WorkerData;
const deadline: Deadline = { at: Number.POSITIVE_INFINITY };

function start(): void {
  try {
    if (role === 'writer') {
      const database = openForWriting(file, busyTimeoutMs);
      const { problem, ...state } = migrate(database, file, migrations);
      database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      const identity = new FileIdentity(file);
      const connection = connect(database, deadline);
      serve(database, (calls) => answerWrites(database, connection, identity, calls));
      port.postMessage({ ...state, ...(problem && { problem: toErrorMessage(problem) }) } satisfies Ready);
    } else {
      const database = openForReading(file, busyTimeoutMs);
      const connection = connect(database, deadline);
      serve(database, (calls) => answerReads(connection, calls));
      port.postMessage({ version: 0, target: 0 } satisfies Ready);
    }
  } catch (error) {
    port.postMessage({ fatal: toErrorMessage(describeSqliteError(error, file)) } satisfies Ready);
    port.close();
  }
}

type Call = Exclude<Request, 'close'>;

/** Answers what waits, batch by batch. Queries are asynchronous, but never wait for anything but their own statements. */
function serve(database: DatabaseSync, answer: (calls: readonly Call[]) => Promise<void>): void {
  let last: Promise<void> = Promise.resolve();
  port.on('message', (first: Request) => {
    last = last.then(async () => {
      const calls: Call[] = [];
      let request: Request | undefined = first;
      while (request !== undefined && request !== 'close') {
        calls.push(request);
        if (calls.length === writesPerCommit) break;
        request = (receiveMessageOnPort(port) as { message: Request } | undefined)?.message;
      }
      if (calls.length > 0) await answer(calls);
      if (request === 'close') {
        database.close();
        port.close();
      }
    });
  });
}

async function answerReads(connection: Connection, calls: readonly Call[]): Promise<void> {
  for (const call of calls) {
    if (role === 'slow reader') deadline.at = performance.now() + slowReadMs;
    port.postMessage(await attempt(connection, call));
  }
}

/**
 * Writes that are waiting at the same moment share one transaction, and so one fsync; each is a savepoint of it, undone alone when
 * it throws. No answer leaves before the commit that holds its rows is on the disk.
 */
async function answerWrites(
  database: DatabaseSync,
  connection: Connection,
  identity: FileIdentity,
  calls: readonly Call[],
): Promise<void> {
  let responses: Response[] = [];
  // In WAL mode, NORMAL survives the end of the process, but not a loss of power.
  const brief = calls.every((call) => queryOf(call)?.kind === 'brief-write');
  try {
    if (brief) database.exec('PRAGMA synchronous = NORMAL');
    database.exec('BEGIN IMMEDIATE');
    for (const call of calls) {
      database.exec('SAVEPOINT write');
      const response = await attempt(connection, call);
      if (!database.isTransaction) throw new Undone(response);
      database.exec('error' in response ? 'ROLLBACK TO write; RELEASE write' : 'RELEASE write');
      responses.push(response);
    }
    identity.check();
    database.exec('COMMIT');
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    const error = cause instanceof Undone ? cause.error : toErrorMessage(describeSqliteError(cause, file));
    responses = calls.map(({ id }) => ({ id, error }));
  } finally {
    if (brief) database.exec('PRAGMA synchronous = FULL');
  }
  for (const response of responses) port.postMessage(response);
}

/** SQLite has rolled back the whole transaction by itself (full disk, I/O error). */
class Undone extends Error {
  readonly error: ErrorMessage;
  constructor(response: Response) {
    super('rolled back');
    this.error = 'error' in response ? response.error : toErrorMessage(this);
  }
}

function queryOf({ name }: Call): Query<unknown, unknown> | undefined {
  return (queries as unknown as Record<string, Query<unknown, unknown>>)[name];
}

async function attempt(connection: Connection, call: Call): Promise<Response> {
  const { id, name, args } = call;
  try {
    const query = queryOf(call);
    if (query === undefined) throw new DatabaseError('database-failed', `no query is named ${name}`);
    return { id, value: await query.run(connection, args) };
  } catch (error) {
    return {
      id,
      error: toErrorMessage(isMissingSchema(error) ? tooOld(name, error) : describeSqliteError(error, file)),
    };
  }
}

function isMissingSchema(error: unknown): error is Error {
  return (
    isSqliteError(error) && /^(no such (table|column|module)|table \S+ has no column)/.test(error.message)
  );
}

function tooOld(name: string, error: Error): DatabaseError {
  return new DatabaseError(
    'schema-too-old',
    `${name} needs a newer schema than ${file} has (${error.message}): a migration did not run; /health says which and why`,
  );
}

start();
