import type { Owner } from './owner.ts';

/** A file of a conversation. Times are UTC; those that AutoBot wrote have the form `YYYY-MM-DD HH:MM:SS`. */
export interface ConversationFile {
  readonly id: string;
  readonly owner: Owner;
  /** '' when it belongs to no session. */
  readonly sessionId: string;
  /** What the user calls it; never part of a path. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256, lower-case hex. */
  readonly sha256: string;
  readonly mimeType: string | null;
  readonly uploadedAt: string | null;
  readonly uploadedBy: string | null;
  readonly deletedAt: string | null;
  readonly isDeleted: boolean;
  /** Where its content is in the store of contents; null when it is not there (yet, or any more). */
  readonly place: string | null;
  /** Names by which AutoBot may have stored its content. */
  readonly legacy: { readonly path: string; readonly storedName: string };
}

/** A content that is complete and durable in the store. */
export interface StagedContent {
  /** Never used before or again. */
  readonly place: string;
  readonly size: number;
  readonly sha256: string;
}

/** An upload whose content is in the store. */
export interface NewFile {
  readonly id: string;
  readonly sessionId: string;
  readonly name: string;
  readonly mimeType: string;
  readonly content: StagedContent;
  readonly metadata: Readonly<Record<string, string>>;
}

export type AccessType = 'upload' | 'download' | 'view' | 'delete' | 'restore';

/** Somebody did something to a file. */
export interface FileAccess {
  readonly logId: number;
  readonly type: AccessType;
  readonly by: string | null;
  readonly at: string;
  /** JSON. */
  readonly details: string | null;
}

/** Where a list of files goes on: after this file, to older ones. */
export interface FileCursor {
  readonly uploadedAt: string;
  readonly id: string;
}
