import { CoreError } from '../terms/errors.ts';

const eventLimitCharacters = 8 * 1024 * 1024;

/**
 * Splits a server-sent event stream into the `data` of its events, as many at a time as one read brought.
 * Comments and other fields are dropped; an unfinished last event is, too.
 *
 * @throws {CoreError} `model_interrupted` when one event grows past 8 Mi characters
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventSplitter {
  readonly #decoder = new TextDecoder();
  #rest = '';
  #data: string[] = [];

  /** True between two events. */
  get atStart(): boolean {
    return this.#rest === '' && this.#data.length === 0;
  }

  push(bytes: Uint8Array): string[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    const events: string[] = [];
    let start = 0;
    for (let end = text.indexOf('\n', start); end !== -1; end = text.indexOf('\n', start)) {
      const line =
        text.charCodeAt(end - 1) === 13 && end > start ? text.slice(start, end - 1) : text.slice(start, end);
      start = end + 1;
      if (line === '') {
        if (this.#data.length > 0) events.push(this.#data.join('\n'));
        this.#data = [];
      } else if (line.startsWith('data:')) {
        this.#data.push(line.charCodeAt(5) === 32 ? line.slice(6) : line.slice(5));
      }
    }
    this.#rest = text.slice(start);
    if (this.#rest.length > eventLimitCharacters) {
      throw new CoreError('model_interrupted', 'the model sent an event of more than 8 Mi characters');
    }
    return events;
  }
}
