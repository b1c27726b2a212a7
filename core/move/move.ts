import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { DatabaseError } from '../database/errors.ts';
import type { PostgresConnection } from '../database/postgres/postgres-database.ts';
import type { ContentStore, OpenContent } from '../files/content-store.ts';
import { wordsOf } from '../terms/words.ts';
import { type MovedTable, movedTables } from './moved-tables.ts';
import type { Row, Source } from './source.ts';

const rowsPerPage = 500;

/** What was moved and compared of one table. */
export interface MovedCount {
  readonly table: string;
  readonly rows: number;
  /** Of all rows in the order of the key, the same on both sides. */
  readonly sha256: string;
}

/** Where contents lie now and will lie; without it their places stay as they are, in a folder that all machines share. */
export interface ContentMove {
  readonly from: ContentStore;
  readonly to: ContentStore;
}

/** A content that could not be moved; the next run tries it again. */
export interface LeftOut {
  readonly sha256: string;
  readonly place: string;
  readonly found: 'missing' | 'damaged';
}

/**
 * Moves all rows, and the contents too when asked to, and then compares both sides. What a run before has moved is left
 * out: after an interruption the same command goes on.
 *
 * @param tell is told of each table once it is the same on both sides
 * @returns the contents that are not there or are damaged, each once
 * @throws {DatabaseError} `move-differs` when something is not the same afterwards
 */
export async function move(
  source: Source,
  target: PostgresConnection,
  contents: ContentMove | undefined,
  tell: (count: MovedCount) => void,
): Promise<LeftOut[]> {
  const leftOut: LeftOut[] = [];
  for (const table of movedTables) {
    if (table.name === 'contents' && contents !== undefined) {
      leftOut.push(...(await copyContents(source, target, table, contents)));
    } else await copyTable(source, target, table);
    if (table.numbered) await advance(target, table);
  }
  for (const table of movedTables) tell(await compare(source, target, table, contents !== undefined));
  return leftOut;
}

async function copyTable(source: Source, target: PostgresConnection, table: MovedTable): Promise<void> {
  let after = await lastMoved(target, table);
  for (;;) {
    const rows = source.page(table, after, rowsPerPage);
    if (rows.length > 0) await insert(target, table, rows);
    if (rows.length < rowsPerPage) return;
    after = keyOf(table, rows.at(-1) as Row);
  }
}

/**
 * The contents in the store, and those that AutoBot stored and nobody has asked for since. Goes through all rows, since what
 * was left out before may lie before the greatest that is there.
 */
async function copyContents(
  source: Source,
  target: PostgresConnection,
  table: MovedTable,
  contents: ContentMove,
): Promise<LeftOut[]> {
  const leftOut = new Map<string, LeftOut>();
  const files = movedTables.find(({ name }) => name === 'conversation_files') as MovedTable;
  const kinds = [
    { rowsOf: table, toWanted: inStore },
    { rowsOf: files, toWanted: storedByAutoBot },
  ];
  for (const { rowsOf, toWanted } of kinds) {
    for (let after: unknown[] | undefined; ; ) {
      const rows = source.page(rowsOf, after, rowsPerPage);
      if (rows.length === 0) break;
      const wanted = new Map<string, Wanted>();
      for (const one of rows.map(toWanted)) if (!leftOut.has(one.sha256)) wanted.set(one.sha256, one);
      for (const sha256 of await movedBefore(target, [...wanted.keys()])) wanted.delete(sha256);
      const moved: Row[] = [];
      for (const one of wanted.values()) {
        const result = await moveContent(one, contents);
        if (isLeftOut(result)) leftOut.set(one.sha256, result);
        else moved.push(result);
      }
      if (moved.length > 0) await insert(target, table, moved);
      after = keyOf(rowsOf, rows.at(-1) as Row);
    }
  }
  return [...leftOut.values()];
}
/** Rows are written in the order of the key, page by page in transactions: all up to the greatest are there. */
async function lastMoved(
  { tables }: PostgresConnection,
  { name, key }: MovedTable,
): Promise<unknown[] | undefined> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const order = sql.join(key.map((column) => sql`${sql.ref(column)} DESC`));
  const { rows } =
    await sql<Row>`SELECT ${columns} FROM ${sql.table(name)} ORDER BY ${order} LIMIT 1`.execute(tables);
  return rows[0] === undefined ? undefined : key.map((column) => rows[0]?.[column]);
}

async function insert(
  { tables, syntax }: PostgresConnection,
  { name }: MovedTable,
  rows: readonly Row[],
): Promise<void> {
  await tables.transaction().execute(async (transaction) => {
    await transaction
      .insertInto(name)
      .values(rows as never)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    if (name !== 'messages') return;
    await transaction
      .insertInto('messages_search')
      .values(
        rows.map((row) => ({
          rowid: row.message_id as number,
          words: syntax.indexed(wordsOf(row.content as string)),
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

/** A content that the target shall have. */
interface Wanted {
  readonly sha256: string;
  readonly place: string;
  open(from: ContentStore): Promise<OpenContent | undefined>;
}

function inStore(row: Row): Wanted {
  const place = row.place as string;
  return { sha256: row.sha256 as string, place, open: (from) => from.open(place) };
}

function storedByAutoBot(row: Row): Wanted {
  const path = row.file_path as string;
  const legacy = { sessionId: row.session_id as string, path, storedName: row.stored_filename as string };
  return { sha256: row.file_hash as string, place: path, open: (from) => from.openLegacy(legacy) };
}

async function movedBefore({ tables }: PostgresConnection, hashes: readonly string[]): Promise<string[]> {
  if (hashes.length === 0) return [];
  const rows = await tables.selectFrom('contents').select('sha256').where('sha256', 'in', hashes).execute();
  return rows.map(({ sha256 }) => sha256);
}

const isLeftOut = (result: Row | LeftOut): result is LeftOut => 'found' in result;

/** The content's row for the target. */
async function moveContent(
  { sha256, place, open }: Wanted,
  { from, to }: ContentMove,
): Promise<Row | LeftOut> {
  const content = await open(from);
  if (content === undefined) return { sha256, place, found: 'missing' };
  try {
    const bytes = content.size === 0 ? [] : content.read({ start: 0, end: content.size - 1 });
    const staged = await to.stage(bytes as AsyncIterable<Buffer>);
    if (staged.sha256 === sha256) return { sha256, place: staged.place, size: staged.size };
    await to.remove(staged.place);
    return { sha256, place, found: 'damaged' };
  } finally {
    await content.close();
  }
}

/** New rows get numbers after those that were moved. */
async function advance({ tables }: PostgresConnection, { name, key }: MovedTable): Promise<void> {
  const column = key[0] as string;
  await sql`SELECT setval(pg_get_serial_sequence(${name}, ${column}), greatest(max(${sql.ref(column)}), 1))
    FROM ${sql.table(name)} HAVING max(${sql.ref(column)}) IS NOT NULL`.execute(tables);
}

async function compare(
  source: Source,
  target: PostgresConnection,
  table: MovedTable,
  contentsMoved: boolean,
): Promise<MovedCount> {
  // Contents have other places there, and each was hashed on its way.
  if (table.name === 'contents' && contentsMoved) return { table: table.name, rows: 0, sha256: 'by content' };
  const here = createHash('sha256');
  const there = createHash('sha256');
  let rows = 0;
  for (let after: readonly unknown[] | undefined; ; ) {
    const wanted = source.page(table, after, rowsPerPage);
    const found = await pageOf(target, table, after);
    for (const row of wanted) here.update(canonical(row));
    for (const row of found) there.update(canonical(row));
    rows += wanted.length;
    if (wanted.length < rowsPerPage && found.length < rowsPerPage) break;
    after = keyOf(table, (wanted.at(-1) ?? found.at(-1)) as Row);
  }
  const sha256 = here.digest('hex');
  if (sha256 === there.digest('hex')) return { table: table.name, rows, sha256 };
  throw new DatabaseError(
    'move-differs',
    `${table.name}: the rows of both databases differ: the target had rows of its own, or was written to; empty it and move again`,
  );
}

async function pageOf(
  { tables }: PostgresConnection,
  { name, key }: MovedTable,
  after: readonly unknown[] | undefined,
): Promise<readonly Row[]> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const condition =
    after === undefined
      ? sql``
      : sql`WHERE (${columns}) > (${sql.join(after.map((value) => sql`${value}`))})`;
  const { rows } = await sql<Row>`SELECT * FROM ${sql.table(name)} ${condition}
    ORDER BY ${columns} LIMIT ${sql.lit(rowsPerPage)}`.execute(tables);
  return rows;
}

function keyOf({ key }: MovedTable, row: Row): unknown[] {
  return key.map((column) => row[column]);
}

/** A row as text, whatever the order of its columns. */
function canonical(row: Row): string {
  return `${JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))}\n`;
}
