// Calls a service without a sidecar; Node.js and an RFC 9421 library: npm install http-message-signatures
//
// node call.mjs KEYRING CALLEE METHOD URL [BODY_FILE]
// node call.mjs keyring.json npu-worker POST http://172.16.168.22:15006/api/process job.json
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { createSigner, httpbis } from 'http-message-signatures';

/** The headers of one call; each call needs new ones, since its nonce is accepted once. */
async function signedHeaders(keyring, callee, method, url, body) {
  const { kid, keys } = keyring.outbound[callee];
  const secret = Buffer.from(keys[url.hostname], 'base64');
  const fields = ['@method', '@authority', '@path', '@query', 'x-service-id'];
  const headers = { host: callee, 'x-service-id': keyring.service };
  if (body.length > 0) {
    const digest = createHash('sha256').update(body).digest('base64');
    Object.assign(headers, {
      'content-type': 'application/json',
      'content-length': String(body.length),
      'content-digest': `sha-256=:${digest}:`,
    });
    fields.push('content-digest', 'content-type');
  }
  const { headers: signed } = await httpbis.signMessage(
    {
      key: createSigner(secret, 'hmac-sha256', kid),
      name: 'svc',
      fields,
      params: ['created', 'keyid', 'nonce', 'tag'],
      paramValues: { nonce: randomBytes(16).toString('base64url'), tag: 'countersign' },
    },
    // What is signed is the callee's name; the address only says where the call goes.
    { method, url: `http://${callee}${url.pathname}${url.search}`, headers },
  );
  return signed;
}

const [keyringFile, callee, method, address, bodyFile] = process.argv.slice(2);
const keyring = JSON.parse(await readFile(keyringFile, 'utf8'));
const body = bodyFile === undefined ? Buffer.alloc(0) : await readFile(bodyFile);
const url = new URL(address);
const headers = await signedHeaders(keyring, callee, method, url, body);
const call = request(url, { method, headers });
call.end(body);
call.on('response', async (response) => {
  console.log(response.statusCode, await text(response));
  process.exitCode = response.statusCode < 400 ? 0 : 1;
});
