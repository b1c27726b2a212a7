import type { IncomingMessage } from 'node:http';

/**
 * The body of an answer as text.
 *
 * @throws {RangeError} when it is longer than `mostBytes`; the connection is gone then
 * @throws the error with which the connection broke off
 */
export function readText(response: IncomingMessage, mostBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    response.on('error', reject);
    response.on('data', (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length > mostBytes) response.destroy(new RangeError(`more than ${mostBytes / 2 ** 20} MiB`));
    });
    response.on('end', () => resolve(Buffer.concat(pieces).toString('utf8')));
  });
}
