import wasmBytes from 'undici/lib/llhttp/llhttp_simd-wasm.js';

/**
 * llhttp, the parser of Node itself, as the WebAssembly build that undici carries: strict (no lenient flag is
 * ever set). One instance serves the whole thread, because nothing here is re-entrant: a parse runs from first to
 * last byte within one turn of the event loop.
 */

/** What llhttp reports while it runs; positions are addresses in `memory`. A non-zero return stops the parse. */
export interface Sink {
  onMessageBegin(): number;
  onUrl(at: number, length: number): number;
  onStatus(at: number, length: number): number;
  onFieldName(at: number, length: number): number;
  onFieldValue(at: number, length: number): number;
  /** Returns 1 to say that no body follows the head, 0 to go on with the body that the head announces. */
  onHeadersComplete(): number;
  onBody(at: number, length: number): number;
  onMessageComplete(): number;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  llhttp_alloc(type: number): number;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, at: number, length: number): number;
  llhttp_get_errno(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
  llhttp_get_status_code(parser: number): number;
}

/** Error numbers that get an answer of their own (llhttp.h). */
export const llhttpError = {
  ok: 0,
  invalidMethod: 6,
  invalidVersion: 9,
  paused: 21,
  pausedUpgrade: 22,
  user: 24,
} as const;

let sink: Sink;

const instance = new WebAssembly.Instance(new WebAssembly.Module(wasmBytes), {
  env: {
    wasm_on_message_begin: (_: number) => sink.onMessageBegin(),
    wasm_on_url: (_: number, at: number, length: number) => sink.onUrl(at, length),
    wasm_on_status: (_: number, at: number, length: number) => sink.onStatus(at, length),
    wasm_on_header_field: (_: number, at: number, length: number) => sink.onFieldName(at, length),
    wasm_on_header_value: (_: number, at: number, length: number) => sink.onFieldValue(at, length),
    wasm_on_headers_complete: (_: number) => sink.onHeadersComplete(),
    wasm_on_body: (_: number, at: number, length: number) => sink.onBody(at, length),
    wasm_on_message_complete: (_: number) => sink.onMessageComplete(),
  },
});
const llhttp = instance.exports as unknown as Exports;
llhttp._initialize();

const request = 1;
const response = 2;

/** One parser for all request heads, one for all response heads, one into which chunked bodies load their state. */
export const requestParser = llhttp.llhttp_alloc(request);
export const responseParser = llhttp.llhttp_alloc(response);
const spare = llhttp.llhttp_alloc(request);
const afterSpare = llhttp.llhttp_alloc(request);
/** Bytes of one parser's state, as the allocator rounds it. */
const parserBytes = afterSpare - spare;
if (parserBytes <= 0 || parserBytes > 1024) throw new Error('llhttp lays out its parsers in an unknown way');

/** A body of 64 KiB comes with its head in one read. */
const readBytes = 128 * 1024;
export const assemblyBytes = 512 * 1024;
const pageBytes = 64 * 1024;
// Growing detaches every view and every buffer that a socket reads into: so it is done once, before any is made.
const regionAt = llhttp.memory.buffer.byteLength;
llhttp.memory.grow((2 * readBytes + assemblyBytes) / pageBytes);

/** The memory of llhttp. */
export const memory = Buffer.from(llhttp.memory.buffer);
const view = (at: number, length: number) => Buffer.from(llhttp.memory.buffer, at, length);
/** What every socket reads into while a head is expected. */
export const readBuffer = view(regionAt, readBytes);
/** Where a head that came in pieces is put together. */
export const assemblyBuffer = view(regionAt + readBytes, assemblyBytes);
/** Where pieces of a chunked body are parsed. */
export const chunkBuffer = view(regionAt + readBytes + assemblyBytes, readBytes);

/** Parses `length` bytes at address `at` from the start of a message; the result is an error number. */
export function parseFromStart(parser: number, at: number, length: number, to: Sink): number {
  sink = to;
  llhttp.llhttp_reset(parser);
  return llhttp.llhttp_execute(parser, at, length);
}

export function statusCode(parser: number): number {
  return llhttp.llhttp_get_status_code(parser);
}

/** llhttp's own words for why a parse stopped. */
export function errorReason(parser: number): string {
  const at = llhttp.llhttp_get_error_reason(parser);
  return at === 0 ? '' : memory.latin1Slice(at, memory.indexOf(0, at));
}

/** The state of a parse that is not finished, to be taken up again with the next bytes. */
export class SuspendedParse {
  readonly #state = Buffer.alloc(parserBytes);

  /** Parses a first piece from the start of a message. */
  begin(at: number, length: number, to: Sink): number {
    const error = parseFromStart(spare, at, length, to);
    memory.copy(this.#state, 0, spare, spare + parserBytes);
    return error;
  }

  /** Parses a further piece. */
  resume(at: number, length: number, to: Sink): number {
    sink = to;
    memory.set(this.#state, spare);
    const error = llhttp.llhttp_execute(spare, at, length);
    memory.copy(this.#state, 0, spare, spare + parserBytes);
    return error;
  }

  /** Address at which the last piece stopped when a callback paused it. */
  get stoppedAt(): number {
    return llhttp.llhttp_get_error_pos(spare);
  }

  /** llhttp's own words for why the last piece was refused. */
  get reason(): string {
    return errorReason(spare);
  }
}
