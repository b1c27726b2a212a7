import type { Readable } from 'node:stream';
import { ModelFailure } from './failures.ts';
import type { Operation } from './model-metrics.ts';
import { EventSplitter } from './sse.ts';

/** What the connection gets after `[DONE]` to end the answer, so that it can be kept. */
const endOfAnswerMs = 1_000;

/** Whole events of one line each, whose data is an object. */
const wholeEvents = /^(?:data: ?\{[^\r\n]*\n\n)+$/;
/** In JSON text, where quotes inside of a string have a backslash before them: how an answer ends, what it cost, that it failed. */
const notable = /"usage":\s?\{|"error":|"finish_reason":\s?"/;

/** Who reads a streamed answer. What a function returns is waited for before there is more. */
export interface StreamReader {
  /** The data of events, as many at a time as one read brought. */
  events(data: readonly string[]): Promise<void> | undefined;
  /** The bytes of whole events that say neither how the answer ends, nor what it cost, nor that it failed; default: all events go to `events`. */
  plain?(bytes: Uint8Array): Promise<void> | undefined;
}

/** A streamed answer of a model that has begun. */
export class ModelStream {
  readonly #body: Readable;
  readonly #named: (error: unknown) => Error;
  readonly #service: string;
  readonly #operation: Operation;

  /**
   * @param named makes an error of the connection one of ours
   * @param operation told of the first chunk and of the end
   */
  constructor(body: Readable, service: string, named: (error: unknown) => Error, operation: Operation) {
    this.#operation = operation;
    this.#body = body;
    this.#service = service;
    this.#named = named;
  }

  /**
   * Reads to `[DONE]`, once. Pushes instead of being iterated: an iteration costs more than the chunk.
   *
   * @throws {ModelFailure} `model_interrupted` when the answer ends without it; what a function of the reader throws
   */
  read(reader: StreamReader): Promise<void> {
    const body = this.#body;
    const splitter = new EventSplitter();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (error: unknown) => {
      body.destroy();
      reject(error);
    };
    const onData = (bytes: Buffer) => {
      this.#operation.chunk();
      try {
        if (reader.plain !== undefined && splitter.atStart && isPlain(bytes)) {
          waitFor(reader.plain(bytes));
          return;
        }
        const data = splitter.push(bytes);
        const done = data.indexOf('[DONE]');
        if (done !== 0 && data.length > 0) waitFor(reader.events(done === -1 ? data : data.slice(0, done)));
        if (done !== -1) finish();
      } catch (error) {
        fail(error);
      }
    };
    const waitFor = (written: Promise<void> | undefined) => {
      if (written === undefined) return;
      body.pause();
      written.then(() => body.resume(), fail);
    };
    const finish = () => {
      body.off('data', onData);
      const timer = setTimeout(() => body.destroy(), endOfAnswerMs).unref();
      body.once('close', () => clearTimeout(timer));
      body.resume();
      resolve();
    };
    body.on('data', onData);
    body.on('error', (error) => reject(this.#named(error)));
    // Does nothing when there was an error, or [DONE].
    body.once('close', () =>
      reject(
        new ModelFailure('model_interrupted', `${this.#service} ended its answer half-way`, {
          countsAgainstModel: true,
        }),
      ),
    );
    promise.then(
      () => this.#operation.end(),
      (error: unknown) => this.#operation.end(error),
    );
    return promise;
  }
}

function isPlain(bytes: Buffer): boolean {
  const text = bytes.latin1Slice();
  return wholeEvents.test(text) && !notable.test(text);
}
