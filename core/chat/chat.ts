import { CoreError } from '../errors.ts';
import type { ModelClient } from '../llm/client.ts';
import { Answer, type Completion } from './answer.ts';
import { type Message, sortMessages } from './message.ts';
import type { Plan, Planner } from './planner.ts';
import { type ChatRequest, toModelRequest } from './request.ts';
import { type TurnRecord, unrecorded } from './turn.ts';

/** Answers chat requests: remembers, plans, asks the model, and keeps what was said. */
export class Chat {
  readonly #planner: Planner;
  readonly #model: ModelClient;

  constructor(planner: Planner, model: ModelClient) {
    this.#planner = planner;
    this.#model = model;
  }

  /**
   * One answer as a whole.
   *
   * @param signal ends the call to the model at once; its reason is what is thrown
   * @throws {CoreError | import('../llm/client.ts').ModelRefusal}
   */
  async complete(request: ChatRequest, signal: AbortSignal): Promise<Completion> {
    const turn = this.#open(request);
    const plan = this.#planner.plan(request, turn);
    try {
      const completion = (await this.#model.complete(
        toModelRequest(request, plan.model, plan),
        signal,
      )) as Completion;
      const choice = completion.choices?.[0];
      if (choice?.message === undefined) {
        throw new CoreError('model_interrupted', 'the model answered without a message');
      }
      plan.learn(completion.usage?.prompt_tokens);
      await turn.complete({
        message: choice.message,
        finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : undefined,
        usage: completion.usage,
      });
      return completion;
    } catch (error) {
      await turn.interrupt('');
      throw error;
    }
  }

  /**
   * An answer as it comes: the text of a server-sent event stream, piece by piece. Resolves when the model has begun to
   * answer. The end of the stream, from the chunk with the `finish_reason` on, comes only after the turn is durable.
   *
   * @throws as {@link complete}; the iteration throws the same
   */
  async stream(request: ChatRequest, signal: AbortSignal): Promise<AsyncGenerator<string, void, void>> {
    const turn = this.#open(request);
    const plan = this.#planner.plan(request, turn);
    try {
      const events = await this.#model.stream(toModelRequest(request, plan.model, plan), signal);
      return relay(events, turn, plan, request.stream_options?.include_usage === true);
    } catch (error) {
      await turn.interrupt('');
      throw error;
    }
  }

  #open(request: ChatRequest): TurnRecord {
    const { instructions, earlier, fresh } = sortMessages(request.messages);
    return unrecorded(
      fresh.length > 0 ? { instructions, history: earlier, fresh } : continued(instructions, earlier),
    );
  }
}

/** A request that ends with the model's own message asks to go on from it. */
function continued(instructions: readonly Message[], earlier: readonly Message[]) {
  return { instructions, history: earlier.slice(0, -1), fresh: earlier.slice(-1) };
}

async function* relay(
  events: AsyncGenerator<string[], void, void>,
  turn: TurnRecord,
  plan: Plan,
  showUsage: boolean,
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
          if (turn.durable && answer.finishReason !== undefined) held += `data: ${data}\n\n`;
          else shown += `data: ${data}\n\n`;
        }
        if (shown !== '') yield shown;
      }
    } catch (error) {
      // What the model has called finished is finished, however its stream ended after that.
      if (answer.finishReason === undefined) throw error;
    }
    plan.learn(answer.usage?.prompt_tokens);
    await turn.complete(answer);
    over = true;
    yield `${held}data: [DONE]\n\n`;
  } finally {
    // Reached half-way by an error and when the reader, the client, has gone.
    if (!over) await turn.interrupt(answer.text);
  }
}

function parseChunk(data: string): Completion {
  let chunk: Completion;
  try {
    chunk = JSON.parse(data) as Completion;
  } catch (cause) {
    throw new CoreError('model_interrupted', 'the model sent an event that is not JSON', { cause });
  }
  if (chunk?.error !== undefined && chunk.error !== null) {
    const { message = String(chunk.error) } = chunk.error as { message?: string };
    throw new CoreError('model_interrupted', `the model broke off its answer: ${message}`);
  }
  return chunk ?? {};
}
