import { giveBackBody } from '../exchange/body-buffers.ts';
import type { CalleeEnd, CalleeEvents, HowToSend, WriteProgress } from '../exchange/ends.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type RequestToSend, requestText } from '../http1/outgoing-message.ts';
import { BodyWriter, smallBytes } from './body-writer.ts';
import type { OwnedSocket } from './socket.ts';
import { corkForThisTurn } from './turn-end.ts';

/** What a call needs of the connection that it leaves on. */
export interface CallCarrier {
  readonly socket: OwnedSocket;
  readonly connected: boolean;
  awaitResponse(): void;
  block(): void;
  resume(): void;
  proceed(): void;
  abort(call: ClientCall): void;
  keepTunnel(): void;
}

/** One request to a host, and the response that comes to it. It may wait for others before it gets a connection. */
export class ClientCall implements CalleeEnd {
  readonly request: RequestToSend;
  readonly events: CalleeEvents;
  /** It left, or may leave, together with others. */
  readonly isShareable: boolean;
  /** The request has been sent as a whole. */
  isSent: boolean;
  /** Nothing is to happen any more. */
  isAborted = false;
  readonly #text: string;
  #carrier: CallCarrier | undefined = undefined;
  #body: Buffer | undefined;
  #writer: BodyWriter | undefined = undefined;

  constructor(request: RequestToSend, body: Buffer | undefined, how: HowToSend, events: CalleeEvents) {
    this.request = request;
    this.events = events;
    this.isShareable = how === 'shareable';
    this.isSent = how !== 'streamed' && how !== 'streamed-fresh';
    this.#text = requestText(request);
    this.#body = body;
  }

  /** Writes the request, as far as it is at hand. */
  leaveOn(carrier: CallCarrier): void {
    this.#carrier = carrier;
    const { socket } = carrier;
    const body = this.#body;
    if (!this.isSent) {
      corkForThisTurn(socket);
      socket.write(this.#text, 'latin1');
      this.#writer = new BodyWriter(socket, this.request.framing);
      return;
    }
    if (body === undefined) socket.write(this.#text, 'latin1');
    else if (body.length <= smallBytes) socket.write(this.#text + body.latin1Slice(0, body.length), 'latin1');
    else {
      socket.cork();
      socket.write(this.#text, 'latin1');
      socket.write(body);
      socket.uncork();
    }
    carrier.awaitResponse();
  }

  /** Leaves together with others. @returns what is to be written of it */
  leaveTogether(carrier: CallCarrier): string {
    this.#carrier = carrier;
    return this.#text;
  }

  /** Its response has begun: it will not be sent again, and its body is not needed any more. */
  forgetBody(): void {
    if (this.#body !== undefined && this.#carrier !== undefined)
      giveBackBody(this.#body, this.#carrier.socket);
    this.#body = undefined;
  }

  get isConnected(): boolean {
    return this.#carrier?.connected ?? false;
  }

  get progress(): WriteProgress | undefined {
    return this.#carrier?.socket;
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    return this.#writer?.write(buffer, start, end) ?? true;
  }

  corkForThisTurn(): void {
    if (this.#carrier !== undefined) corkForThisTurn(this.#carrier.socket);
  }

  end(trailers: FieldSection | undefined): void {
    this.#writer?.end(trailers);
    this.isSent = true;
    this.#carrier?.awaitResponse();
  }

  block(): void {
    this.#carrier?.block();
  }

  resume(): void {
    this.#carrier?.resume();
  }

  proceed(): void {
    this.#carrier?.proceed();
  }

  abort(): void {
    this.isAborted = true;
    this.#carrier?.abort(this);
  }

  writeTunnel(buffer: Buffer, start: number, end: number): boolean {
    return this.#carrier?.socket.write(Buffer.from(buffer.subarray(start, end))) ?? true;
  }

  endTunnel(): void {
    this.#carrier?.socket.end();
  }

  closeTunnel(): void {
    this.#carrier?.socket.destroySoon();
  }

  keepTunnel(): void {
    this.#carrier?.keepTunnel();
  }
}
