import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import t from 'tap';
import wasmBytes from 'undici/lib/llhttp/llhttp_simd-wasm.js';

// What the data path uses though nobody has promised it: a new version of Node or undici that changes it fails here.

t.test('llhttp exports and imports what the parser is built on', async (t) => {
  const assembly = globalThis.WebAssembly as unknown as {
    Module: (new (
      bytes: Uint8Array,
    ) => object) & {
      exports(module: object): { name: string; kind: string }[];
      imports(module: object): { module: string; name: string }[];
    };
  };
  const module = new assembly.Module(wasmBytes);
  const names = assembly.Module.exports(module).map(({ name }) => name);
  for (const name of [
    'memory',
    '_initialize',
    'llhttp_alloc',
    'llhttp_reset',
    'llhttp_execute',
    'llhttp_get_errno',
    'llhttp_get_error_pos',
    'llhttp_get_error_reason',
    'llhttp_get_status_code',
  ])
    t.ok(names.includes(name), name);
  t.strictSame(
    assembly.Module.imports(module)
      .map(({ name }) => name)
      .sort(),
    [
      'wasm_on_body',
      'wasm_on_header_field',
      'wasm_on_header_value',
      'wasm_on_headers_complete',
      'wasm_on_message_begin',
      'wasm_on_message_complete',
      'wasm_on_status',
      'wasm_on_url',
    ],
  );
  const { version } = JSON.parse(readFileSync('node_modules/undici/package.json', 'utf8')) as {
    version: string;
  };
  t.equal(version, '8.12.4', 'look at the changes of llhttp before you change this');
});

t.test('a handle moves to a socket that reads into a buffer of its own', async (t) => {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: '127.0.0.1' });
  t.teardown(() => client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket & { _handle: object | null }];
  const handle = accepted._handle;
  t.type(handle, 'object');
  accepted._handle = null;
  accepted.destroy();
  const buffers: Buffer[] = [Buffer.alloc(8), Buffer.alloc(8)];
  let next = 0;
  const read: string[] = [];
  let wake = () => {};
  const adopted = new Socket({
    handle,
    manualStart: true,
    allowHalfOpen: true,
    onread: {
      buffer: () => buffers[next++ % 2]!,
      callback(length: number, buffer: Buffer) {
        read.push(`${buffers.indexOf(buffer)}:${buffer.toString('latin1', 0, length)}`);
        wake();
        return true;
      },
    },
  } as object);
  t.teardown(() => adopted.destroy());
  adopted.read(0);
  for (const text of ['one', 'two', 'three']) {
    const got = new Promise<void>((resolve) => {
      wake = resolve;
    });
    client.write(text);
    await got;
  }
  t.strictSame(read, ['0:one', '1:two', '0:three'], 'the next buffer is asked for after each read');
  t.match(adopted.remoteAddress, '127.0.0.1');
});
