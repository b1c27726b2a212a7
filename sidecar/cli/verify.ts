import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { Command } from 'commander';
import type { Keyring } from '../keyring/keyring.ts';
import { KeySource } from '../reload/key-source.ts';
import { DigestCheck } from '../signature/content-digest.ts';
import { type Proof, verifyRequest, verifyTrailer } from '../signature/verify.ts';
import { exit, UsageError } from '../terms/exit-codes.ts';
import type { Denial } from '../terms/verdict.ts';
import { type CapturedRequest, readCapturedRequest } from './captured-request.ts';

interface VerifyOptions {
  keyring: string;
  port: string;
  at?: string;
  json?: boolean;
}

const about = `
The request is one HTTP/1.1 request as received, for instance captured with \`nc -l 15006 > request\`.
Its signature and the digest of its body are checked with the callee's keys. Replay and the matrix are not checked: only the
sidecar knows its replay memory, and countersign matrix explain checks the matrix.`;

/** `countersign verify`: would the callee take this request for genuine? */
export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Check a captured request as the callee would. Exits with 0 when it is genuine, with 1 when not.',
    )
    .argument('[file]', 'the request; - or nothing for standard input', '-')
    .requiredOption('--keyring <file>', 'keyring.json of the callee')
    .option('--port <port>', "the callee's inbound port, which Host may name", '15006')
    .option('--at <time>', 'check as of this time (RFC 3339), or `created`: as of when it was signed')
    .option('--json', 'as JSON')
    .addHelpText('after', about)
    .action(async (file: string, options: VerifyOptions) => {
      if (!/^[1-9]\d{0,4}$/.test(options.port))
        throw new UsageError(`--port: found ${options.port}, expected a port`);
      const { current } = await KeySource.open(options.keyring);
      const answer = verifyCaptured(await readCapturedRequest(await readBytes(file)), current, options);
      process.stdout.write(options.json ? `${JSON.stringify(answer, undefined, 2)}\n` : asText(answer));
      if (!answer.genuine) process.exitCode = exit.no;
    });
}

/** What `verify` answers. */
export interface VerifyAnswer {
  readonly genuine: boolean;
  readonly caller?: string;
  readonly claimed?: string;
  readonly kid?: string;
  /** RFC 3339. */
  readonly created?: string;
  readonly skew_seconds?: number;
  readonly reason?: Denial['reason'];
  readonly detail?: string;
  readonly expected?: string;
  readonly received?: string;
}

/** What the callee's sidecar would say of the signature and the body, its memory and its matrix aside. */
export function verifyCaptured(
  request: CapturedRequest,
  keyring: Keyring,
  options: Pick<VerifyOptions, 'port' | 'at'>,
): VerifyAnswer {
  const audience = new Set([
    keyring.service,
    options.port === '80' ? keyring.service : `${keyring.service}:${options.port}`,
  ]);
  const check = (nowMs: number) => verifyRequest(request.head, keyring, audience, nowMs);
  let proof = check(instant(options.at));
  if (options.at === 'created' && proof.created !== undefined) proof = check(proof.created * 1000);
  if (!proof.proven) return denied(proof.denial, proof);
  const denial = bodyDenial(request, proof);
  if (denial !== undefined) return denied(denial, proof);
  const { caller, kid, created, skewSeconds } = proof;
  return { genuine: true, caller, kid, created: rfc3339(created), skew_seconds: skewSeconds };
}

function bodyDenial(
  { head, body }: CapturedRequest,
  proof: Extract<Proof, { proven: true }>,
): Denial | undefined {
  const proven = proof.body;
  if (proven.by === 'none' || proven.by === 'tls') return undefined;
  if (proven.by === 'trailer') {
    const denial = verifyTrailer(proof, head);
    if (denial !== undefined) return denial;
  }
  const check = new DigestCheck(proven.by === 'digest' ? proven.digest : undefined);
  check.update(body);
  return check.verdict(proven.by === 'trailer' ? head.trailer('content-digest') : undefined);
}

function denied(denial: Denial, about: { claimed?: string; kid?: string; created?: number }): VerifyAnswer {
  const { claimed, kid, created } = about;
  return {
    genuine: false,
    reason: denial.reason,
    detail: denial.detail,
    ...(denial.expected !== undefined && { expected: denial.expected }),
    ...(denial.received !== undefined && { received: denial.received }),
    ...(claimed !== undefined && { claimed }),
    ...(kid !== undefined && { kid }),
    ...(created !== undefined && { created: rfc3339(created) }),
  };
}

function asText(answer: VerifyAnswer): string {
  if (answer.genuine)
    return `genuine: signed by ${answer.caller} with ${answer.kid} at ${answer.created} (${answer.skew_seconds} s ago)\n`;
  return [
    `not genuine: ${answer.reason}: ${answer.detail}`,
    ...(answer.expected !== undefined ? [`  expected: ${answer.expected}`] : []),
    ...(answer.received !== undefined ? [`  received: ${answer.received}`] : []),
    '',
  ].join('\n');
}

function instant(at: string | undefined): number {
  if (at === undefined || at === 'created') return Date.now();
  const ms = Date.parse(at);
  if (Number.isNaN(ms) || !/^\d{4}-\d\d-\d\dT/.test(at))
    throw new UsageError(`--at: found ${at}, expected a time such as 2026-11-23T12:00:00Z, or created`);
  return ms;
}

/** Seconds since the epoch, however far off, as a time; what no date can hold stays a number. */
function rfc3339(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}

async function readBytes(file: string): Promise<Buffer> {
  if (file === '-') return buffer(process.stdin);
  try {
    return await readFile(file);
  } catch (error) {
    const found = String((error as NodeJS.ErrnoException).code);
    throw new UsageError(`${file}: found ${found}, expected a readable file`);
  }
}
