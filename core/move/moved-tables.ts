import type { Tables } from '../database/tables.ts';

/** A table that is moved row by row. */
export interface MovedTable {
  readonly name: Exclude<keyof Tables, 'messages_search' | 'content_chunks' | 'cores'>;
  /** Its primary key: rows are read, written and compared in this order. */
  readonly key: readonly string[];
  /** Whether the database numbers its rows. */
  readonly numbered: boolean;
}

/** In an order in which no row comes before one that it refers to. */
export const movedTables: readonly MovedTable[] = [
  { name: 'conversation_files', key: ['file_id'], numbered: false },
  { name: 'file_metadata', key: ['metadata_id'], numbered: true },
  { name: 'session_file_associations', key: ['association_id'], numbered: true },
  { name: 'file_access_log', key: ['log_id'], numbered: true },
  { name: 'file_cleanup_queue', key: ['cleanup_id'], numbered: true },
  { name: 'contents', key: ['sha256'], numbered: false },
  { name: 'chats', key: ['chat_id'], numbered: true },
  { name: 'messages', key: ['message_id'], numbered: true },
  { name: 'chat_summaries', key: ['chat_id'], numbered: false },
  { name: 'idempotent_turns', key: ['chat_id', 'idempotency_key'], numbered: false },
  { name: 'turns', key: ['epoch'], numbered: true },
  { name: 'turn_texts', key: ['epoch', 'number'], numbered: false },
];
