import type { Query } from '../query.ts';
import { chatQueries } from './chats.ts';
import { chunkQueries } from './chunks.ts';
import { coreQueries } from './cores.ts';
import { fileContentQueries } from './file-contents.ts';
import { fileQueries } from './files.ts';
import { turnQueries } from './turns.ts';

/** Every query there is, by name: one implementation for every engine. Arguments and results can be cloned. */
export const queries = {
  ...fileQueries,
  ...fileContentQueries,
  ...chatQueries,
  ...turnQueries,
  ...coreQueries,
  ...chunkQueries,
} as const;

export type Queries = typeof queries;
export type QueryName = keyof Queries;
export type QueryArgs<Name extends QueryName> =
  Queries[Name] extends Query<infer Args, infer _> ? Args : never;
export type QueryResult<Name extends QueryName> =
  Queries[Name] extends Query<infer _, infer Result> ? Result : never;
