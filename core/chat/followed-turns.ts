import { setTimeout as sleep } from 'node:timers/promises';
import type { NotedTurn, TurnStore } from '../store/turn-store.ts';
import type { StoredMessage } from '../terms/conversation.ts';
import { CoreError } from '../terms/errors.ts';
import type { Archive, Reader } from './archive.ts';
import { endOfStream, toEvent } from './event-stream.ts';

/** How often a turn of another core service is looked at; it notes its text every 200 ms. */
const pollMs = 200;

/** Up to where a client has seen a turn. */
export interface SeenUpTo {
  readonly turn: string;
  /** Of the events of its core service; 0 where only its characters were followed. */
  readonly number: number;
  /** Of the answer's text. */
  readonly characters: number;
}

interface Shown {
  readonly turnId: string;
  readonly model: string | null;
}

/** Turns that run on other core services, or are over: what the database has of them, as a stream. */
export class FollowedTurns {
  readonly #turns: TurnStore;
  readonly #archive: Archive;

  constructor(turns: TurnStore, archive: Archive) {
    this.#turns = turns;
    this.#archive = archive;
  }

  /**
   * What a client has not seen of the turn that runs, or of the newest one.
   *
   * @param from undefined: all of the turn that runs
   * @throws {CoreError} `stream_not_found`
   */
  async follow(
    reader: Reader,
    session: string,
    from: SeenUpTo | undefined,
    gone: AbortSignal,
  ): Promise<AsyncGenerator<string, void, void>> {
    const noted = await this.#turns.noted(reader.owner, session, 0);
    if (noted !== undefined && (from === undefined || noted.turn === null || noted.turn.turnId === from.turn))
      return this.#noted(reader, session, noted, from, gone);
    if (from === undefined) throw notFound();
    return this.#stored(reader, session, from);
  }

  /** A turn that runs: its text as it is noted, then what the stored answer has more. */
  async *#noted(
    reader: Reader,
    session: string,
    first: NotedTurn,
    from: SeenUpTo | undefined,
    gone: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    const before = from === undefined ? (await this.#newest(reader, session))?.turnId : undefined;
    let seen = from;
    let skip = from?.characters ?? 0;
    let last = 0;
    for (let noted: NotedTurn | undefined = first; noted?.epoch === first.epoch; ) {
      const { turn, texts } = noted;
      if (turn !== null && from !== undefined && turn.turnId !== from.turn) throw notFound();
      const text = texts.map((note) => note.text).join('');
      last = texts.at(-1)?.number ?? last;
      const fresh = text.slice(skip);
      skip = Math.max(0, skip - text.length);
      if (turn !== null && fresh !== '') {
        seen = { turn: turn.turnId, number: 0, characters: (seen?.characters ?? 0) + fresh.length };
        yield eventId(seen) + chunkOf(turn, { delta: { content: fresh }, finish_reason: null });
      }
      await sleep(pollMs, undefined, { signal: gone });
      noted = await this.#turns.noted(reader.owner, session, last);
    }
    if (seen === undefined) {
      // The turn was over before anything of it was noted: all of its answer is new, if it left one.
      const answer = await this.#newest(reader, session);
      if (answer === undefined || answer.turnId === before) throw notFound();
      seen = { turn: answer.turnId, number: 0, characters: 0 };
    }
    yield* await this.#stored(reader, session, seen);
  }

  /** The newest message of a session; undefined while it has none, as before the end of its first turn. */
  async #newest(reader: Reader, session: string): Promise<StoredMessage | undefined> {
    const page = { limit: 1, from: null, newestFirst: true };
    const [newest] = await this.#archive.messages(reader, session, page).catch((error: unknown) => {
      if (error instanceof CoreError && error.code === 'session_not_found') return [];
      throw error;
    });
    return newest;
  }

  /** What is left of the text of the newest answer, in one piece. */
  async #stored(
    reader: Reader,
    session: string,
    seen: SeenUpTo,
  ): Promise<AsyncGenerator<string, void, void>> {
    const answer = await this.#newest(reader, session);
    if (answer?.turnId !== seen.turn || answer.role !== 'assistant') throw notFound();
    return restOf(answer, seen);
  }
}

async function* restOf(
  answer: Shown & { readonly content: string; readonly state: string },
  seen: SeenUpTo,
): AsyncGenerator<string, void, void> {
  const content = answer.content.slice(seen.characters);
  if (content !== '') yield chunkOf(answer, { delta: { content }, finish_reason: null });
  if (answer.state === 'interrupted') {
    throw new CoreError('model_interrupted', 'the answer was interrupted; this is all that was said of it');
  }
  yield chunkOf(answer, { delta: {}, finish_reason: 'stop' }) + endOfStream;
}

/** The line that names an event of a turn. */
export function eventId({ turn, number, characters }: SeenUpTo): string {
  return `id: ${turn}:${number}:${characters}\n`;
}

function chunkOf({ turnId, model }: Shown, choice: object): string {
  const created = Math.floor(Date.now() / 1000);
  const choices = [{ index: 0, ...choice }];
  const object = 'chat.completion.chunk';
  return toEvent(JSON.stringify({ id: `chatcmpl-${turnId}`, object, created, model, choices }));
}

function notFound(): CoreError {
  return new CoreError(
    'stream_not_found',
    'found no running turn of this session with that event id: GET /api/chats/{session}/messages has what was said',
  );
}
