import * as z from 'zod';
import type { ConversationFile, FileAccess } from '../../terms/file.ts';

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

export function toFile(file: ConversationFile): z.output<typeof fileSchema> {
  return {
    id: file.id,
    session_id: file.sessionId === '' ? null : file.sessionId,
    filename: file.name,
    size: file.size,
    sha256: file.sha256,
    mime_type: file.mimeType ?? 'application/octet-stream',
    uploaded_at: new Date(toMilliseconds(file.uploadedAt)).toISOString(),
    uploaded_by: file.uploadedBy,
  };
}

export function toAccess(access: FileAccess): z.output<typeof accessSchema> {
  let details: unknown;
  try {
    details = JSON.parse(access.details ?? '{}');
  } catch {
    details = undefined;
  }
  return {
    type: access.type,
    by: access.by,
    at: new Date(toMilliseconds(access.at)).toISOString(),
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
