import * as z from 'zod';
import { CoreError } from '../terms/errors.ts';
import { asSent, type Message, messageSchema } from '../terms/message.ts';
import type { PromptExtras } from '../tokens/token-source.ts';

const sessionIdForm =
  'a session id: 1 to 128 letters, digits, dots, underscores, colons or hyphens, beginning with a letter or digit';
/** Names a session: in `X-Session-ID`, in `metadata.session_id`, in the paths of the session API, where `search` is taken. */
export const sessionId = z
  .string({ error: sessionIdForm })
  .regex(/^(?!search$)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, { error: sessionIdForm });

/** More than any window takes; a request with more is a mistake or an attack. */
const maxMessages = 10_000;

const outputTokens = z.int({ error: 'a number of tokens from 1' }).min(1).nullish();

/** The body of `POST /v1/chat/completions`; parameters that we do not know go to the model as they are. */
export const chatRequestSchema = z.looseObject({
  model: z.string().min(1).max(256).optional(),
  messages: z
    .array(messageSchema)
    .min(1)
    .max(maxMessages, { error: `at most ${maxMessages} messages` }),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: outputTokens,
  max_completion_tokens: outputTokens,
  n: z.int().min(1).max(16).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

export type ChatRequest = z.output<typeof chatRequestSchema>;

/** The session that a request names, if it names one. @throws {CoreError} `invalid_request` */
export function namedSession(request: ChatRequest, header: string | undefined): string | undefined {
  const fromBody = request.metadata?.session_id ?? undefined;
  for (const [name, value] of [
    ['X-Session-ID', header],
    ['metadata.session_id', fromBody],
  ]) {
    if (value === undefined) continue;
    const checked = sessionId.safeParse(value);
    if (!checked.success) {
      throw new CoreError('invalid_request', `${name}: expected ${checked.error.issues[0]?.message}`, {
        param: String(name),
      });
    }
  }
  if (header !== undefined && fromBody !== undefined && header !== fromBody) {
    throw new CoreError(
      'invalid_request',
      'X-Session-ID and metadata.session_id name different sessions: send one of them',
      { param: 'metadata.session_id' },
    );
  }
  return header ?? (fromBody as string | undefined);
}

/** The most tokens of an answer that a request asks for. */
export function requestedOutput(request: ChatRequest): number | undefined {
  return request.max_completion_tokens ?? request.max_tokens ?? undefined;
}

/** What takes room in the window beside the messages. */
export function extrasOf(request: ChatRequest): PromptExtras {
  const { tools, functions, response_format } = request;
  return { tools: listOf(tools) ?? listOf(functions), responseFormat: response_format ?? undefined };
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) && value.length > 0 ? value : undefined;
}

/** What the model is asked: the client's parameters with the messages, and the output, that fit its window. */
export function toModelRequest(
  request: ChatRequest,
  model: string,
  fitted: { readonly messages: readonly Message[]; readonly maxOutputTokens: number },
): { readonly model: string } & Readonly<Record<string, unknown>> {
  const {
    metadata: _,
    store: __,
    max_tokens,
    max_completion_tokens,
    stream_options,
    ...parameters
  } = request;
  // The limit keeps the name that the client gave it: reasoning models take only one of the two.
  const limitName = isGiven(max_completion_tokens) ? 'max_completion_tokens' : 'max_tokens';
  const asked = {
    ...parameters,
    model,
    messages: fitted.messages.map(asSent),
    [limitName]: fitted.maxOutputTokens,
  };
  if (request.stream !== true) return { ...asked, stream: false };
  // The usage calibrates the estimate; it is kept from a client that did not ask for it.
  return { ...asked, stream: true, stream_options: { ...stream_options, include_usage: true } };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
