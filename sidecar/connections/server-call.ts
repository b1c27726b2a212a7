import type { CallerEnd, CallerEvents } from '../exchange/ends.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type ResponseToSend, responseText, type SentFraming } from '../http1/outgoing-message.ts';
import { type Problem, problemText } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Hop, Peer } from '../terms/handshake.ts';
import { BodyWriter, smallBytes } from './body-writer.ts';
import type { Ordered, ResponseOrder } from './response-order.ts';
import { type OwnedSocket, writeMessage } from './socket.ts';
import { corkForThisTurn } from './turn-end.ts';

const continueText = 'HTTP/1.1 100 Continue\r\n\r\n';

/** What a call needs of the connection that it came on. */
export interface CallConnection {
  readonly socket: OwnedSocket;
  readonly peerAddress: string;
  readonly route: string | undefined;
  readonly peer: Peer | undefined;
  readonly hop: Hop;
  readonly wasSuspended: boolean;
  readonly order: ResponseOrder<ServerCall>;
  /** A call takes its place in the order of responses. */
  begin(call: ServerCall): void;
  suspend(): void;
  block(): void;
  resume(): void;
  hasWholeBody(head: RequestHead): boolean;
  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void;
  stream(head: RequestHead): void;
  endsBehind(call: ServerCall): boolean;
  finish(call: ServerCall): void;
  abort(): void;
  becomeTunnel(): void;
  keepTunnel(): void;
}

/** One request on a connection, and the response that is written to it. */
export class ServerCall implements CallerEnd, Ordered {
  readonly #connection: CallConnection;
  readonly #isOld: boolean;
  readonly #isHead: boolean;
  events: CallerEvents | undefined = undefined;
  queued: string | undefined = undefined;
  /** The connection ends behind this response. */
  closes: boolean;
  #writer: BodyWriter | undefined = undefined;
  /** The client has asked for 100 (Continue) and has not got it. */
  #awaitsContinue: boolean;

  constructor(connection: CallConnection, head: RequestHead) {
    this.#connection = connection;
    this.#isOld = head.minorVersion === 0;
    this.#isHead = head.method === 'HEAD';
    this.closes = head.close;
    this.#awaitsContinue = head.expects && head.minorVersion === 1;
  }

  get peerAddress(): string {
    return this.#connection.peerAddress;
  }
  get route(): string | undefined {
    return this.#connection.route;
  }
  get peer(): Peer | undefined {
    return this.#connection.peer;
  }
  get hop(): Hop {
    return this.#connection.hop;
  }
  get wasSuspended(): boolean {
    return this.#connection.wasSuspended;
  }
  get progress(): OwnedSocket {
    return this.#connection.socket;
  }

  begin(events: CallerEvents): void {
    this.events = events;
    this.#connection.begin(this);
  }
  suspend(): void {
    this.#connection.suspend();
  }

  block(): void {
    this.#connection.block();
  }

  resume(): void {
    this.#connection.resume();
  }

  hasWholeBody(head: RequestHead): boolean {
    return this.#connection.hasWholeBody(head);
  }

  collect(head: RequestHead, then: (head: RequestHead, body: Buffer) => void): void {
    this.#connection.collect(head, then);
  }

  stream(head: RequestHead): void {
    this.#connection.stream(head);
  }

  takes(wholeBytes: number): boolean {
    return wholeBytes <= smallBytes || this.isNext;
  }

  /** Whether the response to this request is the next one to leave. */
  get isNext(): boolean {
    return this.#connection.order.front === this;
  }

  /** The body of the response is being passed on. */
  get isResponding(): boolean {
    return this.#writer !== undefined;
  }

  sendContinue(): void {
    if (!this.#awaitsContinue || !this.isNext) return;
    this.#awaitsContinue = false;
    this.#connection.order.flush();
    this.#connection.socket.write(continueText, 'latin1');
  }

  respond(
    response: ResponseToSend,
    close: boolean,
    whole: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { order, socket } = this.#connection;
    const { statusAndPhrase, fields, body } = response;
    const framing: SentFraming = body !== 'unknown' ? body : this.#isOld ? 'until-close' : 'chunked';
    if (close || framing === 'until-close' || this.#connection.endsBehind(this)) this.closes = true;
    const connection = this.closes ? 'close' : this.#isOld ? 'keep-alive' : undefined;
    const text = responseText(statusAndPhrase, fields, framing, connection);
    if (whole && end - start <= smallBytes) {
      order.send(this, start === end ? text : text + buffer.latin1Slice(start, end));
      return;
    }
    order.flush();
    if (whole) {
      writeMessage(socket, text, buffer, start, end);
      return;
    }
    corkForThisTurn(socket);
    socket.write(text, 'latin1');
    this.#writer = new BodyWriter(socket, framing);
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    return this.#writer?.write(buffer, start, end) ?? true;
  }

  end(trailers: FieldSection | undefined): void {
    this.#writer?.end(trailers);
  }

  finish(): void {
    this.#connection.finish(this);
  }

  refuse(problem: Problem, close: boolean): void {
    if (close || this.#connection.endsBehind(this)) this.closes = true;
    this.#connection.order.send(this, problemText(problem, this.closes, !this.#isHead));
    this.#connection.finish(this);
  }

  /**
   * Sends a byte that says nothing: a client that has gone for good answers with a reset, and so the callee stops
   * working for nobody; one that only closed its own half is served on. A 100 (Continue) that it did not ask for can't be
   * mistaken for the answer to a later request: it has said that it sends none.
   */
  probe(): void {
    if (this.#writer !== undefined) this.#writer.probe();
    else if (!this.#isOld) this.#connection.socket.write(continueText, 'latin1');
  }

  abort(): void {
    this.#connection.abort();
  }

  openTunnel(statusAndPhrase: string, fields: FieldSection): void {
    fields.add('Connection', 'Upgrade').add('Upgrade', 'websocket');
    this.#connection.socket.write(responseText(statusAndPhrase, fields, 'none', undefined), 'latin1');
    this.#connection.becomeTunnel();
  }

  writeTunnel(buffer: Buffer, start: number, end: number): boolean {
    return this.#connection.socket.write(Buffer.from(buffer.subarray(start, end)));
  }

  endTunnel(): void {
    this.#connection.socket.end();
  }

  closeTunnel(): void {
    this.#connection.socket.destroySoon();
  }

  keepTunnel(): void {
    this.#connection.keepTunnel();
  }
}
