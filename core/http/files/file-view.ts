import * as z from 'zod';
import type { AccessRow, FileRow } from '../../database/queries/files.ts';

/** A file as clients see it. */
export const fileSchema = z.object({
  id: z.string(),
  session_id: z.string().nullable(),
  filename: z.string(),
  size: z.int(),
  sha256: z.string(),
  mime_type: z.string(),
  uploaded_at: z.string(),
  uploaded_by: z.string().nullable(),
});

/** One entry of the access log of a file. */
export const accessSchema = z.object({
  type: z.enum(['upload', 'download', 'view', 'delete', 'restore']),
  by: z.string().nullable(),
  at: z.string(),
  details: z.record(z.string(), z.unknown()),
});

export function toFile(row: FileRow): z.output<typeof fileSchema> {
  return {
    id: row.file_id,
    session_id: row.session_id === '' ? null : row.session_id,
    filename: row.original_filename,
    size: row.file_size,
    sha256: row.file_hash,
    mime_type: row.mime_type ?? 'application/octet-stream',
    uploaded_at: new Date(toMilliseconds(row.uploaded_at)).toISOString(),
    uploaded_by: row.uploaded_by,
  };
}

export function toAccess(row: AccessRow): z.output<typeof accessSchema> {
  let details: unknown;
  try {
    details = JSON.parse(row.access_metadata ?? '{}');
  } catch {
    details = undefined;
  }
  return {
    type: row.access_type,
    by: row.accessed_by,
    at: new Date(toMilliseconds(row.accessed_at)).toISOString(),
    details: (typeof details === 'object' && details !== null ? details : {}) as Record<string, unknown>,
  };
}

/** A time of the database, which is UTC: RFC 3339, or `YYYY-MM-DD HH:MM:SS` in rows that AutoBot wrote. 0 when it is neither. */
export function toMilliseconds(time: string | null): number {
  const text = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.test(time ?? '')
    ? `${time!.replace(' ', 'T')}Z`
    : (time ?? '');
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? 0 : milliseconds;
}
