import type { IncomingMessage } from 'node:http';
import { HandshakeError } from '../connections/handshake.ts';
import { openSealed, sendOn } from '../hop-client/sealed-call.ts';
import type { Keyring } from '../keyring/keyring.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { Rule } from '../policy/rule.ts';

const connectMs = 3_000;
const answerMs = 5_000;

/** What came of a sealed connection to one host of a callee, and of a signed call on it. */
export interface PeerProbe {
  readonly callee: string;
  readonly host: string;
  readonly port: number;
  readonly kid: string;
  readonly hop:
    | { readonly state: 'sealed' }
    | { readonly state: 'unreachable'; readonly code: string }
    /** Something answers and does not prove the pair key. */
    | { readonly state: 'unproven'; readonly why: string };
  /** Undefined when no rule allows a GET or HEAD of a fixed path, or the hop is not sealed. */
  readonly call: ProbeCall | undefined;
}

export interface ProbeCall {
  /** `GET /health`. */
  readonly request: string;
  /** The status, or why no answer came. */
  readonly answer: number | string;
  /** Why the callee's sidecar refused it, or would refuse it when it enforces. */
  readonly denied?: string;
}

/** Signs a request for one host of a callee: the fields to send. */
export type SignProbe = (request: {
  readonly method: string;
  readonly url: string;
  readonly callee: string;
  readonly host: string;
}) => readonly (readonly [string, string])[];

/** Whom to probe. */
export interface ProbeTarget {
  readonly callee: string;
  readonly host: string;
  readonly port: number;
}

/** Connects to a peer as outbound does and, where the matrix allows one, makes a safe call (RFC 9110 section 9.2.1). */
export async function probePeer(
  keyring: Keyring,
  { callee, host, port }: ProbeTarget,
  matrix: Matrix,
  sign: SignProbe,
): Promise<PeerProbe> {
  const keys = keyring.outbound.get(callee);
  const psk = keys?.psks.get(host);
  const probe = { callee, host, port, kid: keys?.kid ?? 'no key', call: undefined };
  if (keys === undefined || psk === undefined)
    return { ...probe, hop: { state: 'unproven', why: 'the keyring has no pair key for it' } };
  try {
    const socket = await openSealed({ host, port, kid: keys.kid, psk }, connectMs);
    const safe = safeRequest(matrix, keyring.service, callee);
    if (safe === undefined) {
      socket.destroy();
      return { ...probe, hop: { state: 'sealed' } };
    }
    const { method, path } = safe;
    const fields = sign({ method, url: `http://${callee}${path}`, callee, host });
    socket.setTimeout(answerMs, () => socket.destroy(new Error(`no answer within ${answerMs / 1000} s`)));
    const answer = await sendOn(socket, { method, target: path, fields }).catch((error: Error) => error);
    socket.destroy();
    const request = `${method} ${path}`;
    return { ...probe, hop: { state: 'sealed' }, call: { request, ...outcome(answer) } };
  } catch (error) {
    if (error instanceof HandshakeError) return { ...probe, hop: { state: 'unproven', why: error.message } };
    const { code, message } = error as NodeJS.ErrnoException;
    return { ...probe, hop: { state: 'unreachable', code: code ?? message } };
  }
}

function outcome(answer: IncomingMessage | Error): Pick<ProbeCall, 'answer' | 'denied'> {
  if (answer instanceof Error) return { answer: answer.message };
  answer.on('error', () => {});
  const denied = answer.headers['x-service-refusal'] ?? answer.headers['x-service-denial'];
  return { answer: answer.statusCode ?? 0, ...(denied !== undefined && { denied: String(denied) }) };
}

/** A call that changes nothing and that the matrix allows: of the caller's own rules first, of the public ones then. */
export function safeRequest(
  matrix: Matrix,
  caller: string,
  callee: string,
): { method: 'GET' | 'HEAD'; path: string } | undefined {
  const rules = matrix.of(callee);
  for (const rule of [...(rules.callers.get(caller)?.rules ?? []), ...rules.public.rules]) {
    const method = safeMethod(rule);
    if (method !== undefined && !rule.segments.includes('*'))
      return { method, path: `/${rule.segments.join('/')}` };
  }
  return undefined;
}

function safeMethod({ methods }: Rule): 'GET' | 'HEAD' | undefined {
  if (methods === '*' || methods.includes('GET')) return 'GET';
  return methods.includes('HEAD') ? 'HEAD' : undefined;
}
