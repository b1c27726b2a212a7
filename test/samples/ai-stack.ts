import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { callerOf, plainServer, portArgument, readJson, sendJson, serve } from './sample.ts';

const models = ['qwen2.5-coder-7b-instruct', 'qwen2.5-coder-14b-instruct', 'llama-3.2-3b-instruct'];
const created = 1_764_000_000;
/** Between two words of a streamed answer. */
const wordDelayMs = 20;

const part = z.object({ type: z.string(), text: z.string().optional() });
const chatRequest = z.object({
  model: z.string(),
  messages: z
    .array(z.object({ role: z.string(), content: z.union([z.string(), z.array(part), z.null()]) }))
    .min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
});
type ChatRequest = z.infer<typeof chatRequest>;

interface Answer {
  readonly model: string;
  readonly words: readonly string[];
  readonly finish: 'stop' | 'length';
  readonly usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

/**
 * A sample ai-stack: an OpenAI-compatible model server (chat completions, streamed or not, and models). Its
 * answer is a function of the request alone: it says who called, how much was sent, and repeats the last message.
 */
export function aiStack(): Server {
  return plainServer((request, response) => {
    void route(request, response).catch(() => response.destroy());
  });
}

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://ai-stack').pathname;
  if (request.method === 'GET' && path === '/api/health') {
    return sendJson(response, 200, { status: 'ok', service: 'ai-stack' });
  }
  if (request.method === 'GET' && path === '/v1/models') {
    const data = models.map((id) => ({ id, object: 'model', created, owned_by: 'countersign' }));
    return sendJson(response, 200, { object: 'list', data });
  }
  if (request.method === 'POST' && path === '/v1/chat/completions') return chat(request, response);
  sendError(response, 404, `no ${request.method} ${path} here`, 'not_found');
}

async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parsed = chatRequest.safeParse(await readJson(request));
  if (!parsed.success) return sendError(response, 400, z.prettifyError(parsed.error), 'invalid_request');
  const answer = answerTo(parsed.data, callerOf(request));
  if (parsed.data.stream !== true) return sendJson(response, 200, completion(answer));
  await stream(answer, parsed.data.stream_options?.include_usage === true, response);
}

/** What the sample says; exported so that a test can expect it word for word. */
export function answerTo(request: ChatRequest, caller: string): Answer {
  const texts = request.messages.map(({ content }) =>
    typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join(''),
  );
  const last = request.messages.at(-1);
  const count = `${request.messages.length} message${request.messages.length === 1 ? '' : 's'}`;
  const text = `${caller} sent ${request.model} ${count}; the last one, from ${last?.role}, says: ${texts.at(-1)}`;
  const all = text.split(/(?<= )/);
  const limit = request.max_completion_tokens ?? request.max_tokens ?? all.length;
  const prompt = Math.ceil(texts.join('').length / 4) + 4 * texts.length;
  const words = all.slice(0, limit);
  return {
    model: request.model,
    words,
    finish: words.length < all.length ? 'length' : 'stop',
    usage: { prompt_tokens: prompt, completion_tokens: words.length, total_tokens: prompt + words.length },
  };
}

function completion({ model, words, finish, usage }: Answer) {
  const message = { role: 'assistant', content: words.join('') };
  return {
    id: 'chatcmpl-sample',
    object: 'chat.completion',
    created,
    model,
    choices: [{ index: 0, message, finish_reason: finish, logprobs: null }],
    usage,
  };
}

async function stream(answer: Answer, includeUsage: boolean, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (choices: unknown[], usage?: Answer['usage']) => {
    const event = {
      id: 'chatcmpl-sample',
      object: 'chat.completion.chunk',
      created,
      model: answer.model,
      choices,
    };
    const withUsage = includeUsage ? { ...event, usage: usage ?? null } : event;
    response.write(`data: ${JSON.stringify(withUsage)}\n\n`);
  };
  const choice = (delta: object, finish: string | null) => [
    { index: 0, delta, finish_reason: finish, logprobs: null },
  ];
  send(choice({ role: 'assistant', content: '' }, null));
  for (const word of answer.words) {
    if (response.destroyed) return;
    send(choice({ content: word }, null));
    await new Promise((resolve) => setTimeout(resolve, wordDelayMs));
  }
  send(choice({}, answer.finish));
  if (includeUsage) send([], answer.usage);
  response.end('data: [DONE]\n\n');
}

function sendError(response: ServerResponse, status: number, message: string, code: string): void {
  sendJson(response, status, { error: { message, type: 'invalid_request_error', param: null, code } });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve('ai-stack', aiStack(), portArgument());
