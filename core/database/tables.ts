import type { ColumnType, Generated } from 'kysely';

/** A column that the database fills in when it is not given. */
type Default<Type> = ColumnType<Type, Type | undefined, Type>;

interface OwnerColumns {
  owner_service: Default<string>;
  owner_user: Default<string>;
}

/** The schema, the same on both engines; the scripts `NNNN_name.{sqlite,postgres}.sql` make it and explain it. */
export interface Tables {
  conversation_files: OwnerColumns & {
    file_id: string;
    session_id: string;
    original_filename: string;
    stored_filename: string;
    file_path: string;
    file_size: number;
    file_hash: string;
    mime_type: string | null;
    uploaded_at: string | null;
    uploaded_by: string | null;
    is_deleted: 0 | 1;
    deleted_at: string | null;
  };
  file_metadata: {
    metadata_id: Generated<number>;
    file_id: string;
    metadata_key: string;
    metadata_value: string | null;
    created_at: string | null;
  };
  session_file_associations: {
    association_id: Generated<number>;
    session_id: string;
    file_id: string;
    association_type: string | null;
    message_id: Default<string | null>;
    associated_at: string | null;
  };
  file_access_log: {
    log_id: Generated<number>;
    file_id: string;
    access_type: string;
    accessed_by: string | null;
    accessed_at: string | null;
    access_metadata: string | null;
  };
  file_cleanup_queue: {
    cleanup_id: Generated<number>;
    file_id: string;
    session_id: string;
    scheduled_deletion_time: string;
    cleanup_reason: string | null;
    is_processed: Default<0 | 1>;
    processed_at: Default<string | null>;
  };
  contents: { sha256: string; place: string; size: number };
  content_chunks: { place: string; number: number; data: Buffer; added_at: Generated<Date> };
  chats: OwnerColumns & {
    chat_id: Generated<number>;
    session_id: string;
    window_id: string;
    title: string | null;
    created_by: string | null;
    instructions: Default<string | null>;
    created_at: string;
    updated_at: string;
    message_count: Default<number>;
    last_epoch: Default<number>;
    deleted_at: Default<string | null>;
  };
  messages: {
    message_id: Generated<number>;
    chat_id: number;
    position: number;
    turn_id: string;
    role: string;
    content: string;
    payload: string | null;
    state: 'complete' | 'interrupted';
    model: string | null;
    created_at: string;
    tokens: Default<number | null>;
    tokenizer: Default<string | null>;
    context: Default<string | null>;
  };
  chat_summaries: { chat_id: number; up_to: number; summary: string; model: string; created_at: string };
  /** `rowid` is the message_id; `words` is written and matched through {@link import('./connection.ts').Syntax}. */
  messages_search: { rowid: number; words: string };
  idempotent_turns: {
    chat_id: number;
    idempotency_key: string;
    request_hash: string;
    turn_id: string;
    answer_position: number;
    created_at: string;
  };
  cores: { core_id: string; process: string; beat: number; started_at: string };
  turns: OwnerColumns & {
    epoch: Generated<number>;
    session_id: string;
    core_id: string;
    running: 0 | 1;
    turn: Default<string | null>;
  };
  turn_texts: { epoch: number; number: number; text: string };
}
