import { Socket } from 'node:net';
import { giveBack, type SpentBuffer, takeBuffer } from '../exchange/body-buffers.ts';
import type { WriteProgress } from '../exchange/ends.ts';
import { assemblyBuffer, readBuffer } from '../http1/llhttp.ts';

/** Who reads from a socket. */
export interface SocketOwner {
  /**
   * Bytes arrived at the start of `buffer`; they are gone after this call.
   *
   * @returns false to read no more until `resume()`
   */
  onBytes(buffer: Buffer, length: number): boolean;
  /** Where the next bytes are to be read; undefined: into the buffer that all sockets share. */
  bodyBuffer: Buffer | undefined;
  onConnected(): void;
  /** The peer has sent all that it will send (FIN). */
  onReadEnd(): void;
  /** What was written has left; more may be written. */
  onDrain(): void;
  /** The socket is closed, whoever closed it. */
  onClosed(error: Error | undefined): void;
}

/** A socket that knows whom it serves: one set of functions listens to all of them, so an idle one is small. */
export interface OwnedSocket extends Socket {
  owner: SocketOwner;
  lastError: Error | undefined;
  /** What the next bytes are read into: it stays so until the next read, whatever the owner wants by then. */
  reading: Buffer;
  /** A body buffer that goes back to the others as soon as nothing is read into it any more. */
  spent: SpentBuffer | undefined;
}

const bodyBufferBytes = 256 * 1024;
let nextBuffer: Buffer = readBuffer;

/**
 * Reads go straight into llhttp's memory, one buffer for all sockets: what a read brought is used up before the
 * next one. While a body is in progress the owner names a buffer of its own.
 */
export const onread = {
  buffer(): Buffer {
    const buffer: Buffer = nextBuffer;
    nextBuffer = readBuffer;
    return buffer;
  },
  callback(this: OwnedSocket, length: number, buffer: Buffer): boolean {
    const { owner } = this;
    const more = owner.onBytes(buffer, length);
    readNextInto(this, owner.bodyBuffer ?? readBuffer, 0);
    return more;
  },
};

/** Names where the next bytes are read, `at` bytes into a buffer: for the callback of a read only. */
export function readNextInto(socket: OwnedSocket, buffer: Buffer, at: number): void {
  if (socket.spent !== undefined) {
    giveBack(socket.spent);
    socket.spent = undefined;
  }
  socket.reading = buffer;
  nextBuffer = at === 0 ? buffer : buffer.subarray(at);
}

function onConnect(this: OwnedSocket): void {
  this.owner.onConnected();
}
function onEnd(this: OwnedSocket): void {
  this.owner.onReadEnd();
}
function onDrain(this: OwnedSocket): void {
  this.owner.onDrain();
}
function onError(this: OwnedSocket, error: Error): void {
  this.lastError = error;
}
function onClose(this: OwnedSocket): void {
  this.owner.onClosed(this.lastError);
}

/** Has an owner told of what happens on a socket. */
export function own(socket: Socket, owner: SocketOwner): OwnedSocket {
  const owned = socket as OwnedSocket;
  owned.owner = owner;
  owned.lastError = undefined;
  owned.reading = readBuffer;
  owned.spent = undefined;
  owned.on('end', onEnd).on('drain', onDrain).on('error', onError).on('close', onClose);
  return owned;
}

/** Owns a socket until it has an owner; nothing is read before that. */
const nobody: SocketOwner = {
  bodyBuffer: undefined,
  onBytes: () => false,
  onConnected() {},
  onReadEnd() {},
  onDrain() {},
  onClosed() {},
};

/**
 * Takes over an accepted connection. net.Server offers no `onread` for what it accepts, so the handle moves to a
 * socket that has it; `handle` is an option of net.Socket that Node does not document (a test pins it).
 */
export function adopt(accepted: Socket, owner: SocketOwner = nobody): OwnedSocket | undefined {
  const handle = takeHandle(accepted);
  if (handle === undefined) return undefined;
  const options = { handle, onread, allowHalfOpen: true, manualStart: true };
  const socket = own(new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]), owner);
  socket.setNoDelay(true);
  return socket;
}

/** Takes the TCP handle out of a socket, which is of no use then; undefined when it is closed already. */
export function takeHandle(socket: Socket): object | undefined {
  const shell = socket as unknown as { _handle: object | null };
  const handle = shell._handle;
  if (handle === null) return undefined;
  shell._handle = null;
  socket.destroy();
  return handle;
}

/** Opens a connection. @param host an address, or the absolute path of a UNIX socket, which has no port */
export function dial(host: string, port: number, owner: SocketOwner): OwnedSocket {
  const socket = own(new Socket({ onread, allowHalfOpen: true } as object), owner);
  socket.once('connect', onConnect);
  socket.connect(host.startsWith('/') ? { path: host } : { host, port });
  socket.setNoDelay(true);
  return socket;
}

/** A buffer to read a body into, 256 KiB at most. @param expected bytes that are still to come; Infinity if unknown */
export function takeBodyBuffer(expected: number): Buffer {
  return takeBuffer(Math.min(expected, bodyBufferBytes));
}

/** Gives a buffer of a socket back, out of which `destination` may still write. */
export function releaseBodyBuffer(
  socket: OwnedSocket,
  buffer: Buffer,
  destination: WriteProgress | undefined,
): void {
  const spent = { buffer, destination, until: destination?.bytesWritten ?? 0 };
  if (socket.reading === buffer) socket.spent = spent;
  else giveBack(spent);
}

const copiedAsText = 4096;

/** Whether this is memory of llhttp: heads can be parsed in it, and the next read of any socket overwrites it. */
export function isShared(buffer: Buffer): boolean {
  return buffer === readBuffer || buffer === assemblyBuffer;
}

/** Writes a range of a buffer; false when the socket would rather wait for `drain`. */
export function writeRange(socket: Socket, buffer: Buffer, start: number, end: number): boolean {
  if (end - start <= copiedAsText) return socket.write(buffer.latin1Slice(start, end), 'latin1');
  if (!isShared(buffer)) return socket.write(buffer.subarray(start, end));
  return writeCopy(socket, '', buffer, start, end);
}

/** Writes a head and the whole body behind it, at once. */
export function writeMessage(socket: Socket, head: string, body: Buffer, start: number, end: number): void {
  if (start === end) socket.write(head, 'latin1');
  else if (end - start <= copiedAsText) socket.write(head + body.latin1Slice(start, end), 'latin1');
  else writeCopy(socket, head, body, start, end);
}

/** Copies into a buffer that is used again: fresh memory costs more than the copying. */
function writeCopy(socket: Socket, head: string, body: Buffer, start: number, end: number): boolean {
  const length = head.length + end - start;
  const copy = takeBuffer(length);
  const at = head.length === 0 ? 0 : copy.latin1Write(head, 0);
  body.copy(copy, at, start, end);
  const more = socket.write(copy.subarray(0, length));
  giveBack({ buffer: copy, destination: socket, until: socket.bytesWritten });
  return more;
}
