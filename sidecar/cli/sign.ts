import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { Command } from 'commander';
import { PlainRequest } from '../hop-client/plain-request.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { KeySource } from '../reload/key-source.ts';
import { contentDigest } from '../signature/content-digest.ts';
import { requiredComponents } from '../signature/coverage-rules.ts';
import type { PairKey } from '../signature/hmac.ts';
import { signRequest } from '../signature/sign.ts';
import { headLabel } from '../signature/tags.ts';
import { UsageError } from '../terms/exit-codes.ts';

interface SignOptions {
  keyring: string;
  dataFile?: string;
  header?: string[];
  callee?: string;
  host?: string;
}

const about = `
Prints the header lines that make a call, for curl:

  countersign sign GET http://172.16.168.22:15006/api/status/7 --keyring keyring.json |
    curl -H @- http://172.16.168.22:15006/api/status/7

  countersign sign POST http://172.16.168.22:15006/api/process --keyring keyring.json \\
      -H 'Content-Type: application/json' --data-file job.json |
    curl -H @- --data-binary @job.json http://172.16.168.22:15006/api/process

Give every header of the call to sign, not to curl: curl has to send exactly what was signed. Each run is good for one call:
its nonce is accepted once.`;

/** `countersign sign`: a call without a sidecar. */
export function signCommand(): Command {
  return new Command('sign')
    .description("Sign one request with a keyring's keys, and print its header lines for `curl -H @-`.")
    .argument('<method>')
    .argument('<url>', 'with the service or its host: http://npu-worker/… or http://172.16.168.22:15006/…')
    .requiredOption('--keyring <file>', 'keyring.json of the caller')
    .option('--data-file <file>', 'the body; - for standard input')
    .option(
      '-H, --header <line>',
      'a further header, Name: value (repeatable)',
      (line: string, before: string[] | undefined) => [...(before ?? []), line],
    )
    .option('--callee <service>', 'the service that is called, where the URL does not tell')
    .option('--host <address>', 'the host of the service, where it has several')
    .addHelpText('after', about)
    .action(async (method: string, url: string, options: SignOptions) => {
      const { current } = await KeySource.open(options.keyring);
      const body = options.dataFile === undefined ? undefined : await readBody(options.dataFile);
      const lines = signedHeaders(current, { method, url, body, ...options }, Date.now());
      process.stdout.write(lines.map(([name, value]) => `${name}: ${value}\n`).join(''));
    });
}

/** What to sign; `header` lines are as given on the command line. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly body?: Uint8Array | undefined;
  readonly header?: readonly string[];
  readonly callee?: string;
  readonly host?: string;
}

/**
 * The header lines of a signed call.
 *
 * @throws {UsageError} when the call cannot be sent as it stands, or the keyring has no key for it
 */
export function signedHeaders(keyring: Keyring, call: Call, nowMs: number): (readonly [string, string])[] {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(call.method))
    throw new UsageError(`method: found ${JSON.stringify(call.method)}, expected one such as GET`);
  const { authority, target } = urlParts(call.url);
  const { callee, kid, key } = chooseCallee(keyring, authority, call);
  const given = (call.header ?? []).map(headerLine);
  const body = call.body ?? new Uint8Array();
  // curl sends a type of its own with every body unless it is told one.
  const typed = body.length === 0 || given.some(([name]) => name.toLowerCase() === 'content-type');
  const sent: (readonly [string, string])[] = [
    ['Host', callee],
    ['X-Service-ID', keyring.service],
    ...given,
    ...(typed ? [] : ([['Content-Type', 'application/octet-stream']] as const)),
    ...(body.length > 0 ? ([['Content-Digest', contentDigest(body)]] as const) : []),
  ];
  const message = new PlainRequest(call.method, target, [...sent, ['Content-Length', String(body.length)]]);
  const { signatureInput, signature } = signRequest(message, requiredComponents(message, 'digest'), key, {
    kid,
    created: Math.floor(nowMs / 1000),
    nonce: randomBytes(16).toString('base64url'),
  });
  return [
    ...sent,
    ['Signature-Input', `${headLabel}=${signatureInput}`],
    ['Signature', `${headLabel}=${signature}`],
  ];
}

/** Authority and request target of a URL, as they are sent. @throws {UsageError} */
export function urlParts(url: string): { authority: string; target: string } {
  const parts = /^http:\/\/([^/?#@]+)([^?#]*)(\?[^#]*)?(?:#.*)?$/i.exec(url);
  if (parts === null || !/^[\x21-\x7e]*$/.test(url))
    throw new UsageError(
      `url: found ${JSON.stringify(url)}, expected http://SERVICE/PATH or http://HOST:PORT/PATH, percent-encoded as it is sent`,
    );
  return { authority: parts[1] as string, target: `${parts[2] || '/'}${parts[3] ?? ''}` };
}

/** Which service at which host is called, and the key for that. @throws {UsageError} */
export function chooseCallee(
  keyring: Keyring,
  authority: string,
  call: Pick<Call, 'callee' | 'host'>,
): { callee: string; host: string; kid: string; key: PairKey } {
  const named = authority
    .replace(/:\d*$/, '')
    .toLowerCase()
    .replace(/^\[|\]$/g, '');
  const atHost = [...keyring.outbound].filter(([, { keys }]) => keys.has(named)).map(([callee]) => callee);
  const callee = call.callee ?? (keyring.outbound.has(named) ? named : atHost[0]);
  if (call.callee === undefined && !keyring.outbound.has(named) && atHost.length > 1)
    throw new UsageError(`url: found host ${named} of ${atHost.join(', ')}, expected --callee to say which`);
  const outbound = callee === undefined ? undefined : keyring.outbound.get(callee);
  if (callee === undefined || outbound === undefined)
    throw new UsageError(
      `url: found ${callee ?? named}, expected a service that ${keyring.service} has keys for: ${[...keyring.outbound.keys()].join(', ') || 'none'}`,
    );
  const hosts = [...outbound.keys.keys()];
  const host = call.host ?? (outbound.keys.has(named) ? named : hosts.length === 1 ? hosts[0] : undefined);
  const key = host === undefined ? undefined : outbound.keys.get(host);
  if (host === undefined || key === undefined)
    throw new UsageError(
      `${host === undefined ? `url: ${callee} has several hosts, expected --host with one of` : `--host: found ${host}, expected one of`} ${hosts.join(', ')}`,
    );
  return { callee, host, kid: outbound.kid, key };
}

const ours =
  /^(host|content-length|transfer-encoding|content-digest|signature|signature-input|trailer|connection|x[-_]service[-_].*)$/i;

function headerLine(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t\x80-\xff]*?)[ \t]*$/.exec(line);
  if (match === null)
    throw new UsageError(`--header: found ${JSON.stringify(line.split(':', 1)[0])}…, expected Name: value`);
  const [, name, value] = match as unknown as [string, string, string];
  if (ours.test(name))
    throw new UsageError(`--header: found ${name}, which countersign sign or curl makes itself`);
  return [name, value];
}

export async function readBody(file: string): Promise<Uint8Array> {
  if (file === '-') return buffer(process.stdin);
  try {
    return await readFile(file);
  } catch (error) {
    const found = String((error as NodeJS.ErrnoException).code);
    throw new UsageError(`--data-file: ${file}: found ${found}, expected a readable file`);
  }
}
