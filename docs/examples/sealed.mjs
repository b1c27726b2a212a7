// Calls a service without a sidecar, inside TLS with the pair key; Node.js only.
//
// node sealed.mjs KEYRING CALLEE METHOD URL [BODY_FILE]
// node sealed.mjs keyring.json npu-worker POST http://172.16.168.22:15006/api/process job.json
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';

/** A connection on which both ends have proven the pair key. */
function sealedConnection({ host, port, kid, secret }) {
  const psk = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'countersign/1\ntls-psk', 32));
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: 'X25519',
      ALPNProtocols: ['http/1.1'],
      pskCallback: () => ({ identity: `countersign/1 ${kid}`, psk }),
      // No certificate proves anything here: with one, and without the key, the handshake must not count.
      ca: [],
      rejectUnauthorized: true,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      if (socket.isSessionReused() && socket.alpnProtocol === 'http/1.1') resolve(socket);
      else socket.destroy(new Error('the callee did not prove the pair key'));
    });
  });
}

/** The headers of one call: inside TLS the body needs no digest. */
function signedHeaders({ caller, callee, kid, secret, method, url, body }) {
  const headers = { host: callee, 'x-service-id': caller };
  if (body.length > 0)
    Object.assign(headers, { 'content-type': 'application/json', 'content-length': body.length });
  const values = {
    '"@method"': method,
    '"@authority"': callee,
    '"@path"': url.pathname,
    '"@query"': url.search || '?',
    '"x-service-id"': caller,
    ...(body.length > 0 && { '"content-type"': headers['content-type'] }),
  };
  const created = Math.floor(Date.now() / 1000);
  const nonce = randomBytes(16).toString('base64url');
  const params = `(${Object.keys(values).join(' ')});created=${created};keyid="${kid}";nonce="${nonce}";tag="countersign"`;
  const lines = Object.entries(values).map(([name, value]) => `${name}: ${value}`);
  const base = [...lines, `"@signature-params": ${params}`].join('\n');
  const mac = createHmac('sha256', secret).update(base).digest('base64');
  return { ...headers, 'signature-input': `svc=${params}`, signature: `svc=:${mac}:` };
}

const [keyringFile, callee, method, address, bodyFile] = process.argv.slice(2);
const { service: caller, outbound } = JSON.parse(await readFile(keyringFile, 'utf8'));
const url = new URL(address);
const { kid, keys } = outbound[callee];
const secret = Buffer.from(keys[url.hostname], 'base64');
const body = bodyFile === undefined ? Buffer.alloc(0) : await readFile(bodyFile);
const socket = await sealedConnection({ host: url.hostname, port: url.port, kid, secret });
const headers = signedHeaders({ caller, callee, kid, secret, method, url, body });
const call = request(url, { method, headers, createConnection: () => socket });
call.end(body);
call.on('response', async (response) => {
  console.log(response.statusCode, await text(response));
  process.exitCode = response.statusCode < 400 ? 0 : 1;
  socket.end();
});
