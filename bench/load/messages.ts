/** Messages of a WebSocket, all of one size (RFC 6455 §5.2): what the generator sends, and what the app answers. */
import type { Socket } from 'node:net';

const payloadBytes = 100;
const finalBinary = 0x82;
const masked = 0x80;
/** A mask of zeros, so that the payload travels as it is. */
const maskBytes = 4;
const requestBytes = 2 + maskBytes + payloadBytes;
export const answerBytes = 2 + payloadBytes;

/** One message from a client. */
export const request = Buffer.concat([
  Buffer.from([finalBinary, masked | payloadBytes, 0, 0, 0, 0]),
  Buffer.alloc(payloadBytes, 'm'),
]);
const answer = Buffer.concat([Buffer.from([finalBinary, payloadBytes]), Buffer.alloc(payloadBytes, 'm')]);

/** The answer to the generator's request for a WebSocket, whose key is the one of RFC 6455 §1.3. */
export const switching =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** The app's end: every message is answered. */
export class Messages {
  #bytes = 0;

  echo(_buffer: Buffer, length: number, socket: Socket): void {
    this.#bytes += length;
    for (; this.#bytes >= requestBytes; this.#bytes -= requestBytes) socket.write(answer);
  }
}
