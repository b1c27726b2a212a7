import type { ModelClient, ModelRequest } from '../llm/client.ts';
import { type ModelFleet, mayFallBack } from '../llm/model-fleet.ts';
import type { ModelMetrics } from '../llm/model-metrics.ts';
import type { ModelStream } from '../llm/model-stream.ts';
import { CoreError } from '../terms/errors.ts';
import { type Message, sortMessages } from '../terms/message.ts';
import type { Onward } from '../terms/onward.ts';
import { keyOfOwner, type Owner } from '../terms/owner.ts';
import { type Completion, finishedAnswer } from './answer.ts';
import { type EventSource, fromPieces } from './event-stream.ts';
import type { LiveTurn, LiveTurns } from './live-turns.ts';
import type { Plan, Planner } from './planner.ts';
import { relayDurable, relayStateless } from './relay.ts';
import { replayed, toCompletion } from './replay.ts';
import { type ChatRequest, toModelRequest } from './request.ts';
import type { Sessions } from './sessions.ts';
import type { Summaries } from './summaries.ts';
import { type ContextRecord, type TurnMessages, type TurnRecord, unrecorded } from './turn.ts';

/** A chat request and what came with it. */
export interface ChatCall {
  readonly request: ChatRequest;
  /** Without one the call is stateless. */
  readonly session: string | undefined;
  /** Whom the session belongs to. */
  readonly owner: Owner;
  readonly idempotencyKey: string | undefined;
  /** Goes on to the model. */
  readonly onward: Onward;
  /** Told the tokens of the prompt once it is planned, and those of the answer once the model reports them. */
  readonly spent: (tokens: number) => void;
}

/** What became of a request, as the client is told beside the answer. */
export interface Answered<Body> {
  readonly body: Body;
  /** Undefined of an answer that was given before. */
  readonly context: ContextRecord | undefined;
}

/** What ends turns, whoever they are for. */
export interface TurnLimits {
  /** A whole turn may take this long. */
  readonly turnMs: number;
  /** Aborted when running turns have to end: the service stops. */
  readonly stopping: AbortSignal;
}

type Opened =
  | { readonly turn: TurnRecord; readonly live: LiveTurn | undefined; readonly signal: AbortSignal }
  | { readonly replay: Completion };

type Send<Answer> = (body: ModelRequest, signal: AbortSignal) => Promise<Answer>;

/** Answers chat requests: remembers, plans, asks the model, and keeps what was said. */
export class Chat {
  readonly #planner: Planner;
  readonly #model: ModelClient;
  readonly #fleet: ModelFleet;
  readonly #sessions: Sessions;
  readonly #live: LiveTurns;
  readonly #summaries: Summaries;
  readonly #limits: TurnLimits;
  readonly #metrics: ModelMetrics;
  #turnsInFlight = 0;

  constructor(
    planner: Planner,
    model: ModelClient,
    fleet: ModelFleet,
    sessions: Sessions,
    live: LiveTurns,
    summaries: Summaries,
    limits: TurnLimits,
    metrics: ModelMetrics,
  ) {
    this.#planner = planner;
    this.#model = model;
    this.#fleet = fleet;
    this.#sessions = sessions;
    this.#live = live;
    this.#summaries = summaries;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Turns that have begun and not ended, with or without a client that listens. */
  get turnsInFlight(): number {
    return this.#turnsInFlight;
  }

  /** Begins a turn, which ends with `clear`. */
  #begin(): ReturnType<typeof limitOf> {
    const { signal, clear } = limitOf(this.#limits);
    this.#turnsInFlight++;
    let isOver = false;
    return {
      signal,
      clear: () => {
        if (!isOver) this.#turnsInFlight--;
        isOver = true;
        clear();
      },
    };
  }

  /**
   * One answer as a whole. When it resolves, the turn is on the disk.
   *
   * @param gone the client has hung up: ends a stateless call at once, a turn of a session after the grace time
   * @throws {CoreError | import('../llm/failures.ts').ModelRefusal}
   */
  async complete(call: ChatCall, gone: AbortSignal): Promise<Answered<Completion>> {
    const limit = this.#begin();
    try {
      const opened = await this.#open(call, gone, limit.signal);
      if ('replay' in opened) return { body: opened.replay, context: undefined };
      const { turn, live, signal } = opened;
      const leave = live?.listen();
      if (leave !== undefined) gone.addEventListener('abort', leave, { once: true });
      if (gone.aborted) leave?.();
      try {
        const send: Send<Completion> = async (body, until) =>
          (await this.#model.complete(body, until, call.onward)) as Completion;
        const { plan, answer: completion } = await this.#ask(call, turn, signal, send);
        const answer = finishedAnswer(completion);
        plan.learn(answer.usage);
        await turn.complete(answer, turn.durable ? await plan.count(answer.message, signal) : undefined);
        if (live !== undefined) {
          for await (const piece of replayed(completion)) live.push(piece, 0);
          this.#considerSummary(call, turn, plan);
        }
        return { body: completion, context: plan.context };
      } catch (error) {
        await turn.interrupt('');
        throw error;
      } finally {
        live?.end(undefined);
      }
    } finally {
      limit.clear();
    }
  }

  /**
   * An answer as it comes: a server-sent event stream, to be sent to one client, once. Resolves when the model has begun
   * to answer. The end of the stream, from the chunk with the `finish_reason` on, comes only after the turn is on the disk.
   *
   * @throws as {@link complete}; the stream throws the same
   */
  async stream(call: ChatCall, gone: AbortSignal): Promise<Answered<EventSource>> {
    const limit = this.#begin();
    const showUsage = call.request.stream_options?.include_usage === true;
    let opened: Opened;
    try {
      opened = await this.#open(call, gone, limit.signal);
    } catch (error) {
      limit.clear();
      throw error;
    }
    if ('replay' in opened) {
      limit.clear();
      return { body: fromPieces(replayed(opened.replay)), context: undefined };
    }
    const { turn, live, signal } = opened;
    const leave = live?.listen();
    if (leave !== undefined) gone.addEventListener('abort', leave, { once: true });
    if (gone.aborted) leave?.();
    try {
      const send: Send<ModelStream> = (body, until) => this.#model.stream(body, until, call.onward);
      const { plan, answer } = await this.#ask(call, turn, signal, send);
      const failed = (error: unknown) => this.#fleet.failed(plan.model, error);
      if (live === undefined) {
        const body: EventSource = (sink) =>
          relayStateless(answer, plan, showUsage, failed, sink).finally(limit.clear);
        return { body, context: plan.context };
      }
      const reading = live.read(undefined, gone);
      const relayed = relayDurable(answer, turn, plan, showUsage, signal, failed, (event, characters) =>
        live.push(event, characters),
      );
      void endWith(relayed, live).finally(() => {
        limit.clear();
        this.#considerSummary(call, turn, plan);
      });
      return { body: (sink) => fromPieces(reading)(sink).finally(leave), context: plan.context };
    } catch (error) {
      limit.clear();
      await turn.interrupt('');
      live?.end(error);
      throw error;
    }
  }

  async #open(call: ChatCall, gone: AbortSignal, limit: AbortSignal): Promise<Opened> {
    const { request } = call;
    const signal = AbortSignal.any([gone, limit]);
    if (call.session === undefined) {
      return { turn: unrecorded(statelessTurn(request.messages)), live: undefined, signal };
    }
    if (request.n !== undefined && request.n !== null && request.n !== 1) {
      throw new CoreError(
        'invalid_request',
        `n: found ${request.n}, expected 1: a session has one answer to each turn`,
        { param: 'n' },
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
    const live = this.#live.begin(liveKey(call.owner, call.session), opened.record.id, limit);
    return { turn: opened.record, live, signal: live.signal };
  }

  /** Plans a turn for its model and asks; while that one fails, for each of its fallbacks in turn. */
  async #ask<Answer>(
    { request, owner, spent }: ChatCall,
    turn: TurnRecord,
    signal: AbortSignal,
    send: Send<Answer>,
  ): Promise<{ readonly plan: Plan; readonly answer: Answer }> {
    const caller = callerOf(owner);
    let failure: unknown;
    for (const model of this.#fleet.candidates(this.#planner.modelOf(request))) {
      try {
        const planned = await this.#planner.plan(request, model, turn, caller, signal);
        const plan = spending(planned, spent, (usage) =>
          this.#metrics.spent(planned.model, owner.service, usage),
        );
        turn.planned(plan, model);
        const body = toModelRequest(request, model, plan);
        const answer = await this.#fleet.ask(model, signal, () => send(body, signal));
        spent(plan.context.tokens.prompt);
        return { plan, answer };
      } catch (error) {
        // The first failure says more than that of a fallback, whose window may be too small.
        failure ??= error;
        if (signal.aborted || !mayFallBack(failure)) throw error;
      }
    }
    throw failure;
  }

  #considerSummary({ owner }: ChatCall, turn: TurnRecord, plan: Plan): void {
    if (turn.chatId !== null) this.#summaries.consider(turn.chatId, turn.summary, callerOf(owner), plan);
  }
}

/** Names the session of one owner among the turns that run. */
export function liveKey(owner: Owner, session: string): string {
  return `${keyOfOwner(owner)}\0${session}`;
}

/** The service that calls, when its sidecar proved it. */
function callerOf({ service }: Owner): string | undefined {
  return service === '' ? undefined : service;
}

function statelessTurn(
  messages: readonly Message[],
): Pick<TurnMessages, 'instructions' | 'history' | 'fresh'> {
  const { instructions, earlier, fresh } = sortMessages(messages);
  if (fresh.length > 0) return { instructions, history: earlier, fresh };
  // A request that ends with the model's own message asks to go on from it.
  return { instructions, history: earlier.slice(0, -1), fresh: earlier.slice(-1) };
}

/** Ends a live turn with what relays it, whoever listens. */
async function endWith(relayed: Promise<void>, live: LiveTurn): Promise<void> {
  try {
    await relayed;
    live.end(undefined);
  } catch (error) {
    live.end(error);
  }
}

/** The one signal of everything that ends a turn, whoever listens. */
function limitOf({ turnMs, stopping }: TurnLimits): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const onStop = () => controller.abort(new CoreError('shutting_down', 'the service is stopping; try again'));
  const timer = setTimeout(
    () => controller.abort(new CoreError('model_timeout', `the turn took longer than ${turnMs} ms`)),
    turnMs,
  ).unref();
  stopping.addEventListener('abort', onStop, { once: true });
  if (stopping.aborted) onStop();
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      stopping.removeEventListener('abort', onStop);
    },
  };
}

/** A plan that tells the tokens of the answer as well when the model reports what it has used. */
function spending(
  plan: Plan,
  spent: ChatCall['spent'],
  reported: (usage: Parameters<Plan['learn']>[0]) => void,
): Plan {
  return {
    ...plan,
    learn(usage) {
      plan.learn(usage);
      reported(usage);
      if (typeof usage?.completion_tokens === 'number') spent(usage.completion_tokens);
    },
  };
}
