import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Command, Option } from 'commander';
import { loadFleet } from '../config/fleet.ts';
import { openSealed, sendOn } from '../hop-client/sealed-call.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { KeySource } from '../reload/key-source.ts';
import { AnsweredNo, exit, UsageError } from '../terms/exit-codes.ts';
import { chooseCallee, readBody, signedHeaders, urlParts } from './sign.ts';
import { printable } from './table.ts';

interface CallOptions {
  readonly keyring: string;
  readonly fleet?: string;
  readonly data?: string;
  readonly dataFile?: string;
  readonly header?: string[];
  readonly callee?: string;
  readonly host?: string;
  readonly timeout: string;
  readonly verbose?: true;
}

const about = `
Examples:
  countersign call GET http://npu-worker/api/status/7 --keyring keyring.json --fleet fleet.yaml
  countersign call POST http://172.16.168.22:15006/api/process --keyring keyring.json -H 'Content-Type: application/json' -d '{}' -v

Nothing is sent unless the callee's sidecar has proven the pair key. Exits with 1 when the status is 400 or above.`;

/** `countersign call`: one call without a sidecar, signed and inside TLS. */
export function callCommand(): Command {
  return new Command('call')
    .description(
      'Make one call as the service of a keyring: sign it, send it inside TLS, print the response.',
    )
    .argument('<method>')
    .argument('<url>', 'with the service or its host: http://npu-worker/… or http://172.16.168.22:15006/…')
    .requiredOption('--keyring <file>', 'keyring.json of the caller')
    .option('--fleet <file>', 'fleet.yaml, for the port of a service that the URL names')
    .addOption(new Option('-d, --data <text>', 'the body').conflicts('dataFile'))
    .option('--data-file <file>', 'the body; - for standard input')
    .option(
      '-H, --header <line>',
      'a further header, Name: value (repeatable)',
      (line: string, before: string[] | undefined) => [...(before ?? []), line],
    )
    .option('--callee <service>', 'the service that is called, where the URL does not tell')
    .option('--host <address>', 'the host of the service, where it has several')
    .option('--timeout <seconds>', 'until the connection is made and proven', '5')
    .option('-v, --verbose', 'show what was signed and what came back, on standard error')
    .addHelpText('after', about)
    .action(async (method: string, url: string, options: CallOptions) => {
      const { current } = await KeySource.open(options.keyring);
      process.exitCode = await call(current, method, url, options);
    });
}

async function call(keyring: Keyring, method: string, url: string, options: CallOptions): Promise<number> {
  const { authority, target } = urlParts(url);
  const body = await bodyOf(options);
  const { callee, host, kid } = chooseCallee(keyring, authority, options);
  const fields = signedHeaders(keyring, { ...options, method, url, body }, Date.now());
  const port = await portOf(authority, callee, options.fleet);
  const psk = keyring.outbound.get(callee)?.psks.get(host) as Buffer;
  const say = (line: string) => options.verbose && process.stderr.write(`${printable(line)}\n`);
  say(`* ${keyring.service} calls ${callee} at ${host}:${port} with ${kid}`);
  const timeoutMs = secondsOf(options.timeout) * 1000;
  const socket = await openSealed({ host, port, kid, psk }, timeoutMs).catch((error: Error) => {
    throw new AnsweredNo(`${callee} at ${host}:${port}: ${error.message}; nothing of the call was sent`);
  });
  const { version, name } = socket.getCipher();
  say(`* sealed: ${version}, ${name}, the peer has proven the pair key`);
  say(`> ${method} ${target}`);
  for (const [field, value] of fields) say(`> ${field}: ${value}`);
  const answer = await sendOn(socket, { method, target, fields, body }).catch((error: Error) => {
    throw new AnsweredNo(
      `${callee} at ${host}:${port} closed the connection without an answer (${error.message})`,
    );
  });
  say(`< ${answer.statusCode} ${answer.statusMessage}`);
  for (let at = 0; at < answer.rawHeaders.length; at += 2)
    say(`< ${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}`);
  say(`* ${verdictIn(answer)}`);
  await pipeline(answer, process.stdout, { end: false });
  return (answer.statusCode ?? 0) < 400 ? exit.ok : exit.no;
}

/** What the callee's sidecar made of the call, as far as its answer tells. */
function verdictIn({ headers }: IncomingMessage): string {
  const refused = headers['x-service-refusal'];
  if (refused !== undefined) return `refused by the callee's sidecar: ${refused}`;
  const denied = headers['x-service-denial'];
  if (denied !== undefined) return `forwarded in the logging phase; enforcing would refuse it: ${denied}`;
  return "allowed by the callee's sidecar; the answer is the app's own";
}

async function bodyOf({ data, dataFile }: CallOptions): Promise<Uint8Array | undefined> {
  if (data !== undefined) return Buffer.from(data);
  return dataFile === undefined ? undefined : readBody(dataFile);
}

/** The port in the URL, or the service's inbound port in fleet.yaml. */
async function portOf(authority: string, callee: string, fleet: string | undefined): Promise<number> {
  const given = /:(\d+)$/.exec(authority)?.[1];
  if (given !== undefined) return Number(given);
  if (fleet === undefined)
    throw new UsageError(
      `url: found no port in ${authority}, expected one, or --fleet with the port of ${callee}`,
    );
  const port = (await loadFleet(fleet)).services.get(callee)?.inbound;
  if (port === undefined) throw new UsageError(`--fleet: found no inbound port of ${callee}, expected one`);
  return port;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0) return seconds;
  throw new UsageError(`--timeout: found ${JSON.stringify(text)}, expected a number of seconds above 0`);
}
