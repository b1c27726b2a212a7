/**
 * What a signature can cover of a request: the values exactly as they stood on the wire (RFC 9421 §2).
 * Implemented by the data path's RequestHead and, for the command line, by a plain object.
 */
export interface SignableRequest {
  readonly method: string;
  /** `http` inside the fleet. */
  readonly scheme: string;
  /** RFC 9421 §2.2.3: lower case, default port dropped. */
  readonly authority: string;
  /** The request target exactly as sent (RFC 9421 §2.2.5). */
  readonly target: string;
  /** Raw path; `/` when it is empty (RFC 9421 §2.2.6). */
  readonly path: string;
  /** Raw query with its leading `?`; `?` alone when there is none (RFC 9421 §2.2.7). */
  readonly query: string;
  /** All lines of a field, combined as RFC 9421 §2.1 says (trimmed, joined with ", "); undefined when absent. */
  field(name: string): string | undefined;
  /** As `field`, by the field's number in `fieldNames`: what is asked at every call. */
  known(id: number): string | undefined;
  /** Each line of a field by itself, trimmed, in order (for `bs`). */
  fieldLines(name: string): readonly string[];
  /** As `field`, of the trailer section; undefined while it has not arrived. */
  trailer(name: string): string | undefined;
  /** Lower-case names of the trailer section; empty while it has not arrived. */
  trailerNames(): readonly string[];
}
