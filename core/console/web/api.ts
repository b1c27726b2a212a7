import { EventLines } from '../../../web/event-lines.ts';
import type { ContextRecord } from '../../chat/turn.ts';

export interface Model {
  readonly id: string;
  /** False when the model server does not have it; undefined when it could not be asked. */
  readonly served?: boolean;
}

export interface Session {
  readonly id: string;
  readonly title: string | null;
  readonly updated_at: string;
  readonly message_count: number;
}

export interface Message {
  readonly position: number;
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
  readonly state: 'complete' | 'interrupted';
  readonly model: string | null;
  readonly created_at: string;
  readonly tokens: number | null;
  /** Of answers: what the window did to the conversation before. */
  readonly context?: ContextRecord;
}

export interface Found {
  readonly session_id: string;
  readonly title: string | null;
  readonly position: number;
  readonly role: string;
  readonly excerpt: string;
}

export interface Page {
  readonly next_cursor: string | null;
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: unknown } }[];
  readonly error?: { readonly message?: string };
}

/** Asks the core, which may be served under a path of its own. @throws {Error} what it said */
export async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  return (await (await request(path, init)).json()) as Answer;
}

/** The path of a session's route. */
export function sessionPath(session: string, route = ''): string {
  return `/api/chats/${encodeURIComponent(session)}${route}`;
}

export function jsonBody(value: object): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** Makes the session of a first message, which names it. */
export async function makeSession(firstMessage: string): Promise<string> {
  const title = firstMessage.trim().slice(0, 80);
  return (await ask<Session>('/api/chats', jsonBody({ title }))).id;
}

/**
 * Says something in a session and reads the answer as it comes.
 *
 * @param model undefined for the default of the core
 * @param onText told all of the answer that there is, whenever there is more
 * @throws {Error} what the core or the model said; the turn may be half stored
 */
export async function say(
  session: string,
  model: string | undefined,
  content: string,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const body = { stream: true, messages: [{ role: 'user', content }], ...(model !== undefined && { model }) };
  const { headers, ...init } = jsonBody(body);
  const fields = { ...(headers as Record<string, string>), 'x-session-id': session };
  const response = await request('/v1/chat/completions', { ...init, headers: fields, signal });
  if (response.body === null) throw new Error('the core sent no stream');
  const lines = new EventLines();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    for (const data of lines.add(piece.value)) {
      if (data === '[DONE]') return;
      const { choices, error } = JSON.parse(data) as Chunk;
      if (error !== undefined) throw new Error(error.message ?? 'the answer broke off');
      const added = choices?.[0]?.delta?.content;
      if (typeof added === 'string') text += added;
    }
    onText(text);
  }
  throw new Error('the answer broke off');
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(`..${path}`, { cache: 'no-store', ...init });
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as Chunk;
  throw new Error(body.error?.message ?? `HTTP ${response.status}`);
}
