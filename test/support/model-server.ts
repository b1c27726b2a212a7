import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** One request that the model server has received. */
export interface ModelCall {
  readonly headers: IncomingMessage['headers'];
  readonly body: {
    readonly model: string;
    readonly messages: readonly { readonly role: string; readonly content: unknown }[];
    readonly stream: boolean;
    readonly [parameter: string]: unknown;
  };
  readonly response: ServerResponse;
  /** Sends one chunk of a streamed answer. */
  chunk(delta: object, rest?: object): void;
  /** Sends the rest of a streamed answer: finish_reason, usage, [DONE]. */
  finish(usage?: object): void;
  /** Resolves, with the time (performance.now), when the client has hung up. */
  readonly hungUp: Promise<number>;
}

export type Behaviour = (call: ModelCall) => void | Promise<void>;

/** One request to another route than chat completions. */
export interface OtherCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  json(status: number, value: unknown): void;
  readonly response: ServerResponse;
}

/** Says what it was sent, word by word when streaming. */
export const echo: Behaviour = (call) => answerWith(call, `You said: ${lastText(call)}`);

/** A model server that speaks the OpenAI API and does what a test tells it. */
export class ModelServer {
  readonly calls: ModelCall[] = [];
  behaviour: Behaviour = echo;
  /** Requests to other routes. */
  readonly otherCalls: OtherCall[] = [];
  /** Other routes, by path; what is not there answers 404. */
  readonly routes = new Map<string, (call: OtherCall) => void | Promise<void>>();
  readonly #events = new EventEmitter();
  readonly #server = createServer(async (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    if (path !== '/v1/chat/completions') return this.#other(request, response, path, await text(request));
    const body = JSON.parse(await text(request)) as ModelCall['body'];
    const call = toCall(request, response, body);
    this.calls.push(call);
    this.#events.emit('call', call);
    await this.behaviour(call);
  });

  async listen(): Promise<AddressInfo> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.#server.address() as AddressInfo;
  }

  /** The next call that comes in after this was called. */
  async nextCall(): Promise<ModelCall> {
    const [call] = (await once(this.#events, 'call')) as [ModelCall];
    return call;
  }

  async #other(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: string,
  ): Promise<void> {
    const json = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const call = { method: request.method ?? '', path, headers: request.headers, body, json, response };
    this.otherCalls.push(call);
    const route = this.routes.get(path);
    if (route === undefined) return json(404, { detail: 'Not Found' });
    await route(call);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The text of the last message that the model was sent. */
export function lastText(call: ModelCall): string {
  return String(call.body.messages.at(-1)?.content);
}

/** Answers with a text: as a whole, or word by word. */
export function answerWith(
  call: ModelCall,
  answer: string,
  usage: object = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
): void {
  if (call.body.stream) {
    for (const [index, word] of (answer.match(/\S+\s*/g) ?? []).entries()) {
      call.chunk(index === 0 ? { role: 'assistant', content: word } : { content: word });
    }
    call.finish(usage);
    return;
  }
  const message = { role: 'assistant', content: answer };
  call.response.setHeader('content-type', 'application/json');
  call.response.end(
    JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: call.body.model,
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage,
    }),
  );
}

function toCall(request: IncomingMessage, response: ServerResponse, body: ModelCall['body']): ModelCall {
  const event = (data: object) => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(
      `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: body.model, ...data })}\n\n`,
    );
  };
  return {
    headers: request.headers,
    body,
    response,
    chunk: (delta, rest = {}) => event({ choices: [{ index: 0, delta, finish_reason: null, ...rest }] }),
    finish(usage) {
      event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
      if (usage !== undefined) event({ choices: [], usage });
      response.end('data: [DONE]\n\n');
    },
    hungUp: new Promise((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) resolve(performance.now());
      });
    }),
  };
}
