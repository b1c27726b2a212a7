import t from 'tap';
import { parseResponseHead } from '../../../sidecar/http1/head-parser.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';
import { statusLineFault, switchFault } from '../../../sidecar/http1/status-line.ts';

function responseHead(text: string) {
  const head = parseResponseHead(assemblyBuffer, 0, assemblyBuffer.write(`${text}\r\n\r\n`, 'latin1'));
  if ('error' in head) throw new Error(`${JSON.stringify(text)}: ${head.words}`);
  return head;
}
/** As the parser leaves it, but for what is changed. */
const fault = (text: string, status: number, minorVersion = 1) =>
  statusLineFault(
    Object.assign(responseHead('HTTP/1.1 200 OK'), { text: `${text}\r\n`, status, minorVersion }),
  );

t.test('final and interim statuses of both versions pass', async (t) => {
  for (const line of [
    'HTTP/1.1 200 OK',
    'HTTP/1.0 599 x',
    'HTTP/1.1 100 ',
    'HTTP/1.1 204',
    'HTTP/1.1 200 a\tb \xff',
  ])
    t.equal(statusLineFault(responseHead(line)), undefined, line);
});

t.test('attack: a status line that clients read in different ways', async (t) => {
  t.match(fault('HTTP/2.0 200 OK', 200), /not HTTP\/1\.0 or HTTP\/1\.1/);
  t.match(fault('HTTP/1.2 200 OK', 200, 2), /not HTTP\/1\.0 or HTTP\/1\.1/);
  t.match(fault('HTTP/1.1\t200 OK', 200), /not HTTP\/1\.0 or HTTP\/1\.1/);
  for (const [status, number] of [
    ['099', 99],
    ['600', 600],
    ['000', 0],
    ['999', 999],
  ] as const)
    t.equal(
      fault(`HTTP/1.1 ${status} x`, number),
      `the response has the status ${status}, expected three digits from 100 to 599`,
    );
  t.match(fault('HTTP/1.1 2000 OK', 200), /has the status 200, expected three digits/);
  t.match(fault('HTTP/1.1 200\tOK', 200), /expected three digits/);
  for (const control of ['\x00', '\x01', '\x08', '\x0b', '\x1b', '\x1f', '\x7f'])
    for (const phrase of [control, `O${control}K`, `OK${control}`])
      t.match(fault(`HTTP/1.1 200 ${phrase}`, 200), /control character/, JSON.stringify(phrase));
});

t.test('101 switches to WebSocket, in HTTP/1.1, for whom asked for it', async (t) => {
  const head = responseHead('HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: WebSocket');
  t.equal(switchFault(head, true), undefined);
  t.match(switchFault(head, false), /did not ask/);
  t.match(switchFault(responseHead('HTTP/1.1 101 x\r\nUpgrade: h2c'), true), /another protocol/);
  t.match(switchFault(responseHead('HTTP/1.1 101 x'), true), /another protocol/);
  t.match(switchFault(responseHead('HTTP/1.0 101 x\r\nUpgrade: websocket'), true), /HTTP\/1\.0/);
});
