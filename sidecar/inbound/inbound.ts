import type { SocketAddress } from '../../config/address.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { Upstream } from '../connections/client-connection.ts';
import { UpstreamHost } from '../connections/host-pool.ts';
import type { Pipeline } from '../connections/pipeline.ts';
import type { Downstream } from '../connections/server-connection.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { Side } from '../exchange/side.ts';
import type { BodyGuard } from '../exchange/streamed-request.ts';
import { dropTable } from '../http1/field-lines.ts';
import { denialField } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requestIdOf } from '../http1/request-id.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { type Circumstances, type Decision, decide } from '../policy/decide.ts';
import type { ServiceRules } from '../policy/matrix.ts';
import { checkDigest } from '../signature/content-digest.ts';
import type { Proof } from '../signature/verify.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { malformed } from '../terms/call-record.ts';
import { fieldId, responseHopFields, serviceAnswerFields } from '../terms/field-names.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { ApplyVerdict, Denial, Disposition, Verdict } from '../terms/verdict.ts';
import { composeForApp } from './compose.ts';
import { StreamedBody } from './streamed-body.ts';
import { TrailerFilter } from './trailers.ts';

type Permit = Extract<Disposition, { forward: true }>;
type Proven = Extract<Proof, { proven: true }>;

/** The replay memory as the data path uses it. */
export interface Replay {
  admit: Circumstances['replay']['admit'];
  /** Resolves once a durable mark covers calls of this key created at this time (seconds since the epoch). */
  cover(kid: string, created: number): Promise<void>;
}

/** What inbound works with; keyring and rules are snapshots that a reload replaces as a whole. */
export interface InboundParts {
  readonly config: SidecarConfig;
  /** Where the local app listens. */
  readonly app: SocketAddress;
  readonly audience: ReadonlySet<string>;
  readonly telemetry: Telemetry;
  readonly replay: Replay;
  readonly applyVerdict: ApplyVerdict;
  /** A connection is gone. */
  readonly onGone: () => void;
  keyring: Keyring;
  rules: ServiceRules;
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH']);

const noMemory: Circumstances['replay'] = { admit: () => 'lost' };

/** Peers to the local app: verify, decide, and forward what the binary's disposition permits. */
export class Inbound implements Pipeline, Side {
  readonly direction = 'inbound';
  readonly absoluteFormReplacesHost = false;
  readonly limits: Pipeline['limits'];
  readonly timeouts: Pipeline['timeouts'];
  readonly responseDrop = dropTable(...responseHopFields, ...serviceAnswerFields, 'x-service-refusal');
  draining = false;
  readonly connections = new Set<Downstream>();
  readonly #parts: InboundParts;
  readonly #app: readonly UpstreamHost[];
  readonly #tunnels = new Set<Exchange>();

  constructor(parts: InboundParts) {
    const { app, config } = parts;
    const { limits, timeouts } = config;
    this.#parts = parts;
    this.limits = limits;
    this.timeouts = timeouts;
    this.#app = [new UpstreamHost(app.host, app.port, timeouts, false)];
  }

  onRequest(downstream: Downstream, head: RequestHead): void {
    const { keyring, rules, audience, replay, applyVerdict } = this.#parts;
    const given = { keyring, rules, audience, replay, nowMs: Date.now() };
    let decision = decide(head, given);
    if ('unmarked' in decision && !downstream.wasSuspended) {
      downstream.suspend();
      const { kid, created } = decision.unmarked;
      const resume = () => downstream.resume();
      replay.cover(kid, created).then(resume, resume);
      return;
    }
    // A mark that cannot be written leaves only one safe answer.
    if ('unmarked' in decision) decision = decide(head, { ...given, replay: noMemory }) as Decision;
    downstream.wasSuspended = false;
    const { verdict, proof } = decision;
    const exchange = new Exchange(this, downstream, head, requestIdOf(head.known(fieldId['x-request-id'])));
    this.#note(exchange, verdict);
    if (proof !== undefined) {
      exchange.caller = proof.caller;
      exchange.kid = proof.kid;
      exchange.skewSeconds = proof.skewSeconds;
    }
    const dropped = proof === undefined ? undefined : coveredHopByHop(proof, head);
    const disposition = applyVerdict(verdict);
    if (dropped !== undefined) {
      exchange.refuse(
        {
          reason: 'malformed-request',
          detail: `Connection names "${dropped}", which the signature covers.`,
        },
        true,
      );
    } else if (!disposition.forward) {
      exchange.refuse(disposition.denial, head.hasBody);
    } else if (proof?.digest !== undefined && this.#isShort(head)) {
      // Also without a body: one that was signed may have been cut off altogether.
      this.#forwardProven(exchange, head, decision, proof.digest);
    } else if (!head.hasBody) {
      this.#forward(exchange, head, decision, disposition);
    } else {
      this.#stream(exchange, head, decision, disposition);
    }
  }

  #isShort(head: RequestHead): boolean {
    const { body_buffer } = this.#parts.config.limits;
    return !head.hasBody || (head.body === 'length' && head.contentLength <= body_buffer && !head.expects);
  }

  #note(exchange: Exchange, verdict: Verdict): void {
    exchange.verdict = verdict;
    exchange.callee = this.#parts.config.service;
    if (!verdict.allowed) {
      exchange.claimed = verdict.claimed;
      exchange.kid = verdict.kid;
    }
  }

  #forward(exchange: Exchange, head: RequestHead, decision: Decision, _permit: Permit, body?: Buffer): void {
    const length = body?.length ?? (head.body === 'length' ? 0 : undefined);
    const { service } = this.#parts.config;
    exchange.send(this.#app, composeForApp(head, exchange, decision.proof, service, 'none', length), body);
  }

  /** A short body is proven before the app sees anything of the call. */
  #forwardProven(exchange: Exchange, received: RequestHead, decision: Decision, digest: string): void {
    exchange.downstream.collect(received, (head, body) => {
      const denial = checkDigest(digest, body);
      const final = denial === undefined ? decision : this.#withoutProof(exchange, decision, denial);
      const disposition = this.#parts.applyVerdict(final.verdict);
      const sent = head.body === 'none' ? undefined : body;
      if (disposition.forward) this.#forward(exchange, head, final, disposition, sent);
      else exchange.refuse(disposition.denial);
    });
  }

  /** The decision on a call whose body is not the one that was signed: a public route stays open to it. */
  #withoutProof(exchange: Exchange, { verdict, proof, open }: Decision, denial: Denial): Decision {
    // What was denied before is denied for its first reason.
    if (!verdict.allowed) return { verdict, proof: undefined, open };
    const claim = proof === undefined ? undefined : { claimed: proof.caller, kid: proof.kid };
    const final: Verdict = open
      ? { allowed: true, rule: verdict.rule }
      : { allowed: false, denial, ...claim };
    exchange.caller = undefined;
    this.#note(exchange, final);
    return { verdict: final, proof: undefined, open };
  }

  #stream(exchange: Exchange, head: RequestHead, decision: Decision, _permit: Permit): void {
    const { proof, open } = decision;
    const { service } = this.#parts.config;
    // Whose body it is shows only at its end: on a public route nobody is named before.
    const guarded = open ? undefined : proof;
    const signed = guarded === undefined ? undefined : head.known(fieldId['x-service-content-length']);
    const length =
      head.body === 'length' ? head.contentLength : signed === undefined ? undefined : Number(signed);
    if (signed !== undefined && !/^\d{1,15}$/.test(signed)) {
      exchange.refuse(
        { reason: 'malformed-request', detail: 'X-Service-Content-Length is not a number.' },
        true,
      );
      return;
    }
    const guard: BodyGuard =
      guarded === undefined
        ? new TrailerFilter(head)
        : new StreamedBody(head.copy(), guarded, length, (denial) =>
            this.#bodyDenied(exchange, decision, denial),
          );
    // A body of no bytes that is still to be proven must not be complete with its head.
    const framing = length === undefined || length === 0 ? 'chunked' : 'length';
    const told = framing === 'length' ? length : undefined;
    const text = composeForApp(head, exchange, open ? undefined : proof, service, framing, told);
    exchange.stream(this.#app, text, framing, length ?? 0, guard);
    exchange.downstream.stream(head);
  }

  /** The end of a streamed body is not what was signed; whether it is passed on is the binary's disposition. */
  #bodyDenied(exchange: Exchange, decision: Decision, denial: Denial): Refusal | undefined {
    const disposition = this.#parts.applyVerdict(this.#withoutProof(exchange, decision, denial).verdict);
    return disposition.forward ? undefined : disposition.denial;
  }

  onMalformed(_downstream: Downstream | undefined, refusal: Refusal): string {
    const requestId = requestIdOf(undefined);
    const { telemetry, config } = this.#parts;
    telemetry.record(malformed('inbound', requestId, undefined, config.service, refusal));
    return requestId;
  }

  mayResend(exchange: Exchange, upstream: Upstream): boolean {
    return upstream.reused && idempotent.has(exchange.method);
  }

  onResponse(_exchange: Exchange, _head: ResponseHead): undefined {}

  /** The mark of a call that was denied and is forwarded: only the caller's sidecar knows what it had signed. */
  responseLines({ verdict }: Exchange): string {
    if ('refused' in verdict || verdict.allowed) return '';
    return `${denialField}: ${verdict.denial.reason}\r\n`;
  }

  onTunnel(exchange: Exchange): void {
    this.#tunnels.add(exchange);
  }

  /** Ends the tunnels of callers that have no key any more. */
  onKeyring(keyring: Keyring): void {
    this.#parts.keyring = keyring;
    const callers = new Set([...keyring.inbound.values()].map((key) => key.caller));
    for (const tunnel of this.#tunnels) {
      if (tunnel.caller !== undefined && !callers.has(tunnel.caller)) tunnel.abort();
    }
  }

  onRules(rules: ServiceRules): void {
    this.#parts.rules = rules;
  }

  onEnd(exchange: Exchange): void {
    this.#parts.telemetry.record(exchange);
  }

  onClosed(downstream: Downstream, exchange: Exchange | undefined): void {
    this.connections.delete(downstream);
    this.#parts.telemetry.connections('inbound', -1);
    this.#parts.onGone();
    if (exchange !== undefined) this.#tunnels.delete(exchange);
  }

  /** Closes the connections to the app that lie ready. */
  closeIdle(): void {
    for (const host of this.#app) host.closeIdle();
  }
}

/** The first covered field that Connection names: the app would not get what the caller signed. */
function coveredHopByHop(proof: Proven, { hopByHop }: RequestHead): string | undefined {
  if (hopByHop === undefined) return undefined;
  return proof.coverage.components.find(({ name }) => hopByHop.has(name))?.name;
}
