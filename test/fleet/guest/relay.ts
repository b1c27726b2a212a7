import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { argv } from 'node:process';
import { createServer as createTlsServer } from 'node:tls';

/**
 * Somebody on the way between two hosts: `relay.ts MODE LISTEN UPSTREAM RECORD`. MODE may be a file that names it, read again for every
 * piece. LISTEN is a port or a path, UPSTREAM a path or HOST:PORT. `pass` forwards. `record` also writes down every byte. `flip` changes one
 * bit in every piece of an answer, `flip-request` in every piece of a request. `cut` ends connections in the middle of a long answer.
 * `answer` answers calls itself, in the clear; `pretend` as a TLS server with a pair key of its own.
 */
export type RelayMode = 'pass' | 'record' | 'flip' | 'flip-request' | 'cut' | 'answer' | 'pretend';

const [, , given = 'pass', listen = '', upstream = '', record = ''] = argv as [
  string,
  string,
  string,
  string,
  string,
  string,
];

/** A connection that is cut in its handshake looks like a callee that can't prove itself: so the mode changes, and not the process. */
function modeNow(): RelayMode {
  return (given.startsWith('/') ? readFileSync(given, 'utf8') : given) as RelayMode;
}

/** Handshakes are shorter: only what comes after them is touched. */
const handshakeBytes = 1_500;
/** Long answers of the story are longer. */
const cutAfterBytes = 200_000;
const forged =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"forged": "yes"}';

function relay(downstream: Socket): void {
  const [host = '', port = ''] = upstream.split(':');
  const up = upstream.startsWith('/') ? connect(upstream) : connect(Number(port), host);
  forward(downstream, up, 'flip-request');
  forward(up, downstream, 'flip');
}

function forward(from: Socket, to: Socket, flipsIn: RelayMode): void {
  let seen = 0;
  let sinceMode = 0;
  from.on('data', (piece: Buffer) => {
    const mode = modeNow();
    seen += piece.length;
    if (mode === 'record') appendFileSync(record, piece);
    if (mode === flipsIn && seen > handshakeBytes) {
      const at = piece.length >> 1;
      piece[at] = (piece[at] as number) ^ 1;
    }
    to.write(piece);
    sinceMode = mode === 'cut' ? sinceMode + piece.length : 0;
    if (sinceMode > cutAfterBytes) {
      from.destroy();
      to.end();
    }
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
  from.on('close', () => to.end());
}

function serve(): { listen(where: number | string): unknown } {
  if (given === 'answer')
    return createServer((socket) => {
      socket.on('error', () => {}).on('data', () => socket.end(forged));
    });
  if (given === 'pretend') {
    const options = { pskCallback: () => randomBytes(32), minVersion: 'TLSv1.3' } as const;
    return createTlsServer({ ...options, ALPNProtocols: ['http/1.1'] }, (socket) => {
      socket.on('error', () => {}).on('data', () => socket.end(forged));
    }).on('tlsClientError', () => {});
  }
  return createServer(relay);
}

serve().listen(listen.startsWith('/') ? listen : Number(listen));
console.log('listening');
