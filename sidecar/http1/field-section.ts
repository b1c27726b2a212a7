import type { FieldLines } from './field-lines.ts';

/** The fields of a message that is to be sent, in order: data, until the encoder of a protocol writes them. */
export class FieldSection {
  #lines = '';

  /** Adds a field. @param value latin1 without CR, LF and NUL: from a parsed head, or made here */
  add(name: string, value: string): this {
    this.#lines += `${name}: ${value}\r\n`;
    return this;
  }

  /**
   * Adds the fields of a received message, less those to drop (see `FieldLines.keptLines`). They are copied: the
   * received head is not needed any more afterwards.
   */
  addKept(received: FieldLines, drop: Uint8Array, named: ReadonlySet<string> | undefined): this {
    this.#lines += received.keptLines(drop, named);
    return this;
  }

  /** The field lines as HTTP/1.1 writes them, each with its CRLF (RFC 9112 §5). */
  get http1Lines(): string {
    return this.#lines;
  }
}
