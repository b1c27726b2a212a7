import type { SignableRequest } from '../signature/message.ts';
import { fieldNames } from '../terms/field-names.ts';

/** A request as a plain object, for what is no data path. */
export class PlainRequest implements SignableRequest {
  readonly scheme = 'http';
  readonly method: string;
  readonly authority: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly #fields: readonly (readonly [string, string])[];
  readonly #trailers: readonly (readonly [string, string])[];

  /**
   * @param target the request target as on the wire: `/path?query`, or in absolute form
   * @param fields names in any case, with values, in order
   */
  constructor(
    method: string,
    target: string,
    fields: readonly (readonly [string, string])[],
    trailers: readonly (readonly [string, string])[] = [],
  ) {
    const absolute = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)(.*)$/is.exec(target);
    const origin = absolute?.[2] ?? target;
    const mark = origin.indexOf('?');
    this.method = method;
    this.target = target;
    this.path = (mark < 0 ? origin : origin.slice(0, mark)) || '/';
    this.query = mark < 0 ? '?' : origin.slice(mark);
    this.#fields = fields.map(([name, value]) => [name.toLowerCase(), value.trim()] as const);
    this.#trailers = trailers.map(([name, value]) => [name.toLowerCase(), value.trim()] as const);
    this.authority = (absolute?.[1] ?? this.field('host') ?? '').toLowerCase().replace(/:80$/, '');
  }

  field(name: string): string | undefined {
    const lines = this.fieldLines(name);
    return lines.length === 0 ? undefined : lines.join(', ');
  }

  known(id: number): string | undefined {
    return this.field(fieldNames[id] as string);
  }

  fieldLines(name: string): readonly string[] {
    return this.#fields.filter(([each]) => each === name).map(([, value]) => value);
  }

  trailer(name: string): string | undefined {
    const lines = this.#trailers.filter(([each]) => each === name).map(([, value]) => value);
    return lines.length === 0 ? undefined : lines.join(', ');
  }

  trailerNames(): readonly string[] {
    return [...new Set(this.#trailers.map(([name]) => name))];
  }
}
