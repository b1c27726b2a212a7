import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Connection, openForReading, openForWriting } from './connection.ts';
import {
  DatabaseError,
  describeSqliteError,
  type ErrorMessage,
  isSqliteError,
  toErrorMessage,
} from './errors.ts';
import { FileIdentity } from './file-identity.ts';
import { migrate } from './migrate.ts';
import type { Migration } from './migrations.ts';
import { queries } from './queries/index.ts';
import type { Query } from './query.ts';

/** What the thread is told when it starts. */
export interface WorkerData {
  readonly role: 'writer' | 'reader';
  readonly file: string;
  readonly busyTimeoutMs: number;
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
const { role, file, busyTimeoutMs, migrations } = workerData as WorkerData;

function start(): void {
  try {
    if (role === 'writer') {
      const database = openForWriting(file, busyTimeoutMs);
      const { problem, ...state } = migrate(database, file, migrations);
      database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      const identity = new FileIdentity(file);
      serve(new Connection(database), (connection, calls) => answerWrites(connection, calls, identity));
      port.postMessage({ ...state, ...(problem && { problem: toErrorMessage(problem) }) } satisfies Ready);
    } else {
      serve(new Connection(openForReading(file, busyTimeoutMs)), answerReads);
      port.postMessage({ version: 0, target: 0 } satisfies Ready);
    }
  } catch (error) {
    port.postMessage({ fatal: toErrorMessage(describeSqliteError(error, file)) } satisfies Ready);
    port.close();
  }
}

type Call = Exclude<Request, 'close'>;

function serve(
  connection: Connection,
  answer: (connection: Connection, calls: readonly Call[]) => Response[],
): void {
  port.on('message', (first: Request) => {
    const calls: Call[] = [];
    let request: Request | undefined = first;
    while (request !== undefined && request !== 'close') {
      calls.push(request);
      if (calls.length === writesPerCommit) break;
      request = (receiveMessageOnPort(port) as { message: Request } | undefined)?.message;
    }
    if (calls.length > 0) for (const response of answer(connection, calls)) port.postMessage(response);
    if (request === 'close') {
      connection.close();
      port.close();
    }
  });
}

function answerReads(connection: Connection, calls: readonly Call[]): Response[] {
  return calls.map((call) => attempt(connection, call));
}

/**
 * Writes that are waiting at the same moment share one transaction, and so one fsync; each is a savepoint of it, undone alone when
 * it throws. Nobody gets an answer before the commit that holds their rows is on the disk.
 */
function answerWrites(connection: Connection, calls: readonly Call[], identity: FileIdentity): Response[] {
  const { database } = connection;
  try {
    database.exec('BEGIN IMMEDIATE');
    const responses = calls.map((call) => {
      database.exec('SAVEPOINT write');
      const response = attempt(connection, call);
      if (!database.isTransaction) throw new Undone(response);
      database.exec('error' in response ? 'ROLLBACK TO write; RELEASE write' : 'RELEASE write');
      return response;
    });
    identity.check();
    database.exec('COMMIT');
    return responses;
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    const error = cause instanceof Undone ? cause.error : toErrorMessage(describeSqliteError(cause, file));
    return calls.map(({ id }) => ({ id, error }));
  }
}

/** SQLite has rolled back the whole transaction by itself (full disk, I/O error). */
class Undone extends Error {
  readonly error: ErrorMessage;
  constructor(response: Response) {
    super('rolled back');
    this.error = 'error' in response ? response.error : toErrorMessage(this);
  }
}

function attempt(connection: Connection, { id, name, args }: Call): Response {
  try {
    const query = (queries as Record<string, Query<unknown, unknown>>)[name];
    if (query === undefined) throw new DatabaseError('database-failed', `no query is named ${name}`);
    return { id, value: query.run(connection, args) };
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
