import { randomUUID } from 'node:crypto';
import { CoreError } from '../errors.ts';
import type { ModelClient } from '../llm/client.ts';
import { ModelFailure } from '../llm/failures.ts';
import { type ModelFleet, mayFallBack } from '../llm/model-fleet.ts';
import { type Message, sortMessages } from '../terms/message.ts';
import type { Owner } from '../terms/owner.ts';
import { Answer, type Completion, finishedAnswer } from './answer.ts';
import type { Plan, Planner } from './planner.ts';
import { type ChatRequest, toModelRequest } from './request.ts';
import type { Sessions } from './sessions.ts';
import { type ContextRecord, type TurnRecord, unrecorded } from './turn.ts';

/** A chat request and what came with it. */
export interface ChatCall {
  readonly request: ChatRequest;
  /** Without one the call is stateless. */
  readonly session: string | undefined;
  /** Whom the session belongs to. */
  readonly owner: Owner;
  readonly idempotencyKey: string | undefined;
}

/** What became of a request, as the client is told beside the answer. */
export interface Answered<Body> {
  readonly body: Body;
  /** Undefined of an answer that was given before. */
  readonly context: ContextRecord | undefined;
}

type Opened = { readonly turn: TurnRecord } | { readonly replay: Completion };

/** What a model answered, or began to. */
interface Begun<Answer> {
  readonly plan: Plan;
  readonly answer: Answer;
}

/** Answers chat requests: remembers, plans, asks the model, and keeps what was said. */
export class Chat {
  readonly #planner: Planner;
  readonly #model: ModelClient;
  readonly #fleet: ModelFleet;
  readonly #sessions: Sessions;

  constructor(planner: Planner, model: ModelClient, fleet: ModelFleet, sessions: Sessions) {
    this.#planner = planner;
    this.#model = model;
    this.#fleet = fleet;
    this.#sessions = sessions;
  }

  /**
   * One answer as a whole. When it resolves, the turn is on the disk.
   *
   * @param signal ends the call to the model at once; its reason is what is thrown
   * @throws {CoreError | import('../llm/client.ts').ModelRefusal}
   */
  async complete(call: ChatCall, signal: AbortSignal): Promise<Answered<Completion>> {
    const opened = await this.#open(call, signal);
    if ('replay' in opened) return { body: opened.replay, context: undefined };
    const { turn } = opened;
    try {
      const { plan, answer: completion } = await this.#ask(
        call,
        turn,
        signal,
        async (body) => (await this.#model.complete(body, signal)) as Completion,
      );
      const answer = finishedAnswer(completion);
      plan.learn(answer.usage?.prompt_tokens);
      await turn.complete(answer, turn.durable ? await plan.count(answer.message, signal) : undefined);
      return { body: completion, context: plan.context };
    } catch (error) {
      await turn.interrupt('');
      throw error;
    }
  }

  /**
   * An answer as it comes: the text of a server-sent event stream, piece by piece. Resolves when the model has begun to
   * answer. The end of the stream, from the chunk with the `finish_reason` on, comes only after the turn is on the disk.
   *
   * @throws as {@link complete}; the iteration throws the same
   */
  async stream(call: ChatCall, signal: AbortSignal): Promise<Answered<AsyncGenerator<string, void, void>>> {
    const opened = await this.#open(call, signal);
    if ('replay' in opened) return { body: replayed(opened.replay), context: undefined };
    const { turn } = opened;
    try {
      const { plan, answer: events } = await this.#ask(call, turn, signal, (body) =>
        this.#model.stream(body, signal),
      );
      const body = relay(
        this.#watched(events, plan.model),
        turn,
        plan,
        call.request.stream_options?.include_usage === true,
        signal,
      );
      return { body, context: plan.context };
    } catch (error) {
      await turn.interrupt('');
      throw error;
    }
  }

  async #open(call: ChatCall, signal: AbortSignal): Promise<Opened> {
    const { request } = call;
    if (call.session === undefined) {
      return { turn: unrecorded(statelessTurn(request.messages)) };
    }
    if (request.n !== undefined && request.n !== null && request.n !== 1) {
      throw new CoreError(
        'invalid_request',
        `n: found ${request.n}, expected 1: a session has one answer to each turn`,
        {
          param: 'n',
        },
      );
    }
    const model = this.#planner.modelOf(request);
    const opened = await this.#sessions.open(
      {
        session: call.session,
        messages: request.messages,
        model,
        retrievalLimit: this.#planner.retrievalLimit(model),
        owner: call.owner,
        idempotencyKey: call.idempotencyKey,
      },
      signal,
    );
    if ('answered' in opened) return { replay: toCompletion(opened.answered, opened.model ?? model) };
    return { turn: opened.record };
  }

  /** Plans a turn for its model and asks; while that one fails, for each of its fallbacks in turn. */
  async #ask<Answer>(
    { request, owner }: ChatCall,
    turn: TurnRecord,
    signal: AbortSignal,
    send: (body: object) => Promise<Answer>,
  ): Promise<Begun<Answer>> {
    const caller = owner.service === '' ? undefined : owner.service;
    let failure: unknown;
    for (const model of this.#fleet.candidates(this.#planner.modelOf(request))) {
      try {
        const plan = await this.#planner.plan(request, model, turn, caller, signal);
        turn.planned(plan, model);
        const answer = await this.#fleet.ask(model, signal, () => send(toModelRequest(request, model, plan)));
        return { plan, answer };
      } catch (error) {
        // The first failure says more than that of a fallback, whose window may be too small.
        failure ??= error;
        if (signal.aborted || !mayFallBack(failure)) throw error;
      }
    }
    throw failure;
  }

  async *#watched(
    events: AsyncGenerator<string[], void, void>,
    model: string,
  ): AsyncGenerator<string[], void, void> {
    try {
      yield* events;
    } catch (error) {
      this.#fleet.failed(model, error);
      throw error;
    }
  }
}

function statelessTurn(messages: readonly Message[]): Pick<TurnRecord, 'instructions' | 'history' | 'fresh'> {
  const { instructions, earlier, fresh } = sortMessages(messages);
  if (fresh.length > 0) return { instructions, history: earlier, fresh };
  // A request that ends with the model's own message asks to go on from it.
  return { instructions, history: earlier.slice(0, -1), fresh: earlier.slice(-1) };
}

async function* relay(
  events: AsyncGenerator<string[], void, void>,
  turn: TurnRecord,
  plan: Plan,
  showUsage: boolean,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const answer = new Answer();
  let held = '';
  let over = false;
  try {
    try {
      for await (const batch of events) {
        let shown = '';
        for (const data of batch) {
          const chunk = parseChunk(data);
          turn.add(answer.add(chunk));
          if (!showUsage && chunk.choices?.length === 0 && chunk.usage) continue;
          if (turn.durable && answer.finishReason !== undefined) held += toEvent(data);
          else shown += toEvent(data);
        }
        if (shown !== '') yield shown;
      }
    } catch (error) {
      // What the model has called finished is finished, however its stream ended after that.
      if (answer.finishReason === undefined) throw error;
    }
    plan.learn(answer.usage?.prompt_tokens);
    await turn.complete(answer, turn.durable ? await plan.count(answer.message, signal) : undefined);
    over = true;
    yield `${held}${endOfStream}`;
  } finally {
    // Reached half-way by an error and when the reader, the client, has gone.
    if (!over) await turn.interrupt(answer.text);
  }
}

const endOfStream = 'data: [DONE]\n\n';

/** Data that has line breaks in it takes several lines. */
function toEvent(data: string): string {
  return data.includes('\n') ? `data: ${data.replaceAll('\n', '\ndata: ')}\n\n` : `data: ${data}\n\n`;
}

function parseChunk(data: string): Completion {
  let chunk: Completion;
  try {
    chunk = (JSON.parse(data) as Completion) ?? {};
  } catch (cause) {
    throw new CoreError('model_interrupted', 'the model sent an event that is not JSON', { cause });
  }
  if (chunk.error !== undefined && chunk.error !== null) {
    const { message = String(chunk.error) } = chunk.error as { message?: string };
    throw new ModelFailure('model_interrupted', `the model broke off its answer: ${message}`, {
      countsAgainstModel: true,
    });
  }
  return chunk;
}

/** A stored answer in the shape of a completion. */
function toCompletion(message: Message, model: string): Completion {
  const { role: _, ...rest } = message;
  return {
    id: `chatcmpl-${randomUUID()}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', ...rest },
        finish_reason: message.tool_calls === undefined ? 'stop' : 'tool_calls',
      },
    ],
  };
}

/** A stored answer as a stream of one piece. */
async function* replayed(completion: Completion): AsyncGenerator<string, void, void> {
  const { message, finish_reason } = completion.choices?.[0] ?? {};
  const chunk = (choice: object) =>
    toEvent(
      JSON.stringify({ ...completion, object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }] }),
    );
  const toolCalls = message?.tool_calls as object[] | undefined;
  const delta = toolCalls
    ? { ...message, tool_calls: toolCalls.map((call, index) => ({ index, ...call })) }
    : message;
  yield chunk({ delta, finish_reason: null }) + chunk({ delta: {}, finish_reason }) + endOfStream;
}
