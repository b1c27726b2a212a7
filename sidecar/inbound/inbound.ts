import { continueTrace, type Span } from '../../signals/trace-context.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { CallerEnd, Destination, RequestHandler } from '../exchange/ends.ts';
import { Exchange } from '../exchange/exchange.ts';
import { type BodyGuard, GuardedBody } from '../exchange/guarded-body.ts';
import type { Call, CallFacts, Role } from '../exchange/role.ts';
import { dropTable } from '../http1/field-lines.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { denialField } from '../http1/problem.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requestIdOf } from '../http1/request-id.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { CallerKey, Keyring } from '../keyring/keyring.ts';
import { type Circumstances, type Decision, decide } from '../policy/decide.ts';
import type { ServiceRules } from '../policy/matrix.ts';
import { documentRead, type OperatorDocument } from '../policy/operator-reads.ts';
import { checkDigest } from '../signature/content-digest.ts';
import type { Proof } from '../signature/verify.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { type CallRecord, malformed } from '../terms/call-record.ts';
import { fieldId, responseHopFields, serviceAnswerFields } from '../terms/field-names.ts';
import { Permit } from '../terms/permit.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { ApplyVerdict, Denial, Verdict } from '../terms/verdict.ts';
import { type AppFraming, composeForApp } from './compose.ts';
import { OperatorReads } from './operator-reads.ts';
import { StreamedBody } from './streamed-body.ts';
import { TrailerFilter } from './trailers.ts';

type Proven = Extract<Proof, { proven: true }>;

/** The replay memory as the data path uses it. */
export interface Replay {
  admit: Circumstances['replay']['admit'];
  /** Resolves once a durable mark covers calls of this key created at this time (seconds since the epoch). */
  cover(kid: string, created: number): Promise<void>;
}

/** What inbound works with; keyring and rules are snapshots that a reload replaces as a whole. */
export interface InboundDependencies {
  readonly config: SidecarConfig;
  readonly audience: ReadonlySet<string>;
  readonly telemetry: Telemetry;
  readonly replay: Replay;
  readonly applyVerdict: ApplyVerdict;
  /** The local app. */
  readonly app: Destination;
  keyring: Keyring;
  rules: ServiceRules;
  /** fleet.yaml's `covered_fields`. */
  coveredFields: readonly string[];
  /** Services that may read the sidecar's documents. */
  operators: ReadonlySet<string>;
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH']);

const noMemory: Circumstances['replay'] = { admit: () => 'lost' };

/** Peers to the local app: verify, decide, and forward what the binary's disposition permits. */
export class Inbound implements RequestHandler, Role {
  readonly direction = 'inbound';
  readonly absoluteFormReplacesHost = false;
  readonly limits: RequestHandler['limits'];
  readonly timeouts: RequestHandler['timeouts'];
  readonly responseDrop = dropTable(...responseHopFields, ...serviceAnswerFields, 'x-service-refusal');
  draining = false;
  readonly #given: InboundDependencies;
  readonly #app: readonly Destination[];
  readonly #tunnels = new Set<Call>();
  /** Undefined until there is an admin listener. */
  #operatorReads: OperatorReads | undefined = undefined;

  constructor(dependencies: InboundDependencies) {
    const { limits, timeouts } = dependencies.config;
    this.#given = dependencies;
    this.limits = limits;
    this.timeouts = timeouts;
    this.#app = [dependencies.app];
  }

  onRequest(caller: CallerEnd, head: RequestHead): void {
    const startedAtMs = performance.now();
    const { keyring, rules, audience, replay, applyVerdict, coveredFields, operators } = this.#given;
    head.discardLookalikes(coveredFields);
    const peer = caller.peer?.caller;
    const document = peer !== undefined && operators.has(peer) ? this.#documentRead(head) : undefined;
    const given = { keyring, rules, audience, peer, replay, coveredFields, document, nowMs: Date.now() };
    let decision = decide(head, given);
    if ('unmarked' in decision && !caller.wasSuspended) {
      caller.suspend();
      const { kid, created } = decision.unmarked;
      const resume = () => caller.resume();
      replay.cover(kid, created).then(resume, resume);
      return;
    }
    // A mark that cannot be written leaves only one safe answer.
    if ('unmarked' in decision) decision = decide(head, { ...given, replay: noMemory }) as Decision;
    const { verdict, proof } = decision;
    const requestId = requestIdOf(head.known(fieldId['x-request-id']));
    const facts = this.#facts(caller, verdict, proof);
    const reads = decision.document === undefined ? undefined : this.#operatorReads;
    const exchange = new Exchange(reads ?? this, caller, head, requestId, facts, startedAtMs);
    caller.begin(exchange);
    const dropped = proof === undefined ? undefined : coveredHopByHop(proof, head);
    const permit = Permit.ask(applyVerdict, verdict);
    if (dropped !== undefined) {
      exchange.refuse(
        {
          reason: 'malformed-request',
          detail: `Connection names "${dropped}", which the signature covers.`,
        },
        true,
      );
    } else if (!(permit instanceof Permit)) {
      exchange.refuse(permit, head.hasBody);
    } else if (reads !== undefined && decision.document !== undefined) {
      reads.send(exchange, head, decision.document, permit);
    } else if (proof?.body.by === 'digest' && this.#isShort(head)) {
      // Also without a body: one that was signed may have been cut off altogether.
      this.#forwardProven(exchange, head, decision, proof.body.digest);
    } else if (!head.hasBody) {
      this.#forward(exchange, head, decision, permit);
    } else {
      this.#stream(exchange, head, decision, permit);
    }
  }

  #documentRead(head: RequestHead): OperatorDocument | undefined {
    return this.#operatorReads === undefined ? undefined : documentRead(head);
  }

  #facts({ hop }: CallerEnd, verdict: Verdict, proof: Proven | undefined): CallFacts {
    const { service } = this.#given.config;
    const facts: CallFacts = {
      caller: proof?.caller,
      callee: service,
      claimed: undefined,
      kid: proof?.kid,
      skewSeconds: proof?.skewSeconds,
      verdict,
      hop,
    };
    if (!verdict.allowed) deny(facts, verdict);
    return facts;
  }

  #isShort(head: RequestHead): boolean {
    const { body_buffer } = this.#given.config.limits;
    return !head.hasBody || (head.body === 'length' && head.contentLength <= body_buffer && !head.expects);
  }

  #forward(exchange: Call, head: RequestHead, { proof }: Decision, permit: Permit, body?: Buffer): void {
    const length = body?.length ?? (head.body === 'length' ? 0 : undefined);
    const framing: AppFraming = length === undefined ? { framing: 'none' } : { framing: 'length', length };
    this.#send(exchange, head, proof, permit, framing, body);
  }

  #send(
    exchange: Call,
    head: RequestHead,
    proof: Proven | undefined,
    permit: Permit,
    framing: AppFraming,
    body: Buffer | GuardedBody | undefined,
  ): void {
    const { service } = this.#given.config;
    const request = composeForApp(head, exchange, proof, service, framing);
    const prepared = { permit, request, body, shareable: false, sealed: false };
    exchange.send({ destinations: this.#app, prepared, isStreamed: body instanceof GuardedBody });
  }

  /** A short body is proven before the app sees anything of the call. */
  #forwardProven(exchange: Call, received: RequestHead, decision: Decision, digest: string): void {
    exchange.collect(received, (head, body) => {
      const denial = checkDigest(digest, body);
      const final = denial === undefined ? decision : this.#withoutProof(exchange, decision, denial);
      const permit = Permit.ask(this.#given.applyVerdict, final.verdict);
      const sent = head.body === 'none' ? undefined : body;
      if (permit instanceof Permit) this.#forward(exchange, head, final, permit, sent);
      else exchange.refuse(permit);
    });
  }

  /** The decision on a call whose body is not the one that was signed: a public route stays open to it. */
  #withoutProof(exchange: Call, { verdict, proof, open }: Decision, denial: Denial): Decision {
    // What was denied before is denied for its first reason.
    if (!verdict.allowed) return { verdict, proof: undefined, open };
    const claim = proof === undefined ? undefined : { claimed: proof.caller, kid: proof.kid };
    const final: Verdict = open
      ? { allowed: true, rule: verdict.rule }
      : { allowed: false, denial, ...claim };
    exchange.facts.caller = undefined;
    exchange.facts.verdict = final;
    if (!final.allowed) deny(exchange.facts, final);
    return { verdict: final, proof: undefined, open };
  }

  #stream(exchange: Call, head: RequestHead, decision: Decision, permit: Permit): void {
    const { proof, open } = decision;
    if (proof?.body.by === 'tls') {
      // Every byte is proven as it comes.
      const framing: AppFraming =
        head.body === 'length' ? { framing: 'length', length: head.contentLength } : { framing: 'chunked' };
      this.#send(exchange, head, proof, permit, framing, new GuardedBody(undefined, new TrailerFilter(head)));
      if (exchange.isWaiting) exchange.callerEnd.stream(head);
      return;
    }
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
        : new StreamedBody(head.keep(), guarded, length, (denial) =>
            this.#bodyDenied(exchange, decision, denial),
          );
    // A body of no bytes that is still to be proven must not be complete with its head.
    const known = length === undefined || length === 0 ? undefined : length;
    const framing: AppFraming =
      known === undefined ? { framing: 'chunked' } : { framing: 'length', length: known };
    this.#send(exchange, head, open ? undefined : proof, permit, framing, new GuardedBody(known, guard));
    if (exchange.isWaiting) exchange.callerEnd.stream(head);
  }

  /** The end of a streamed body is not what was signed; whether it is passed on is the binary's disposition. */
  #bodyDenied(exchange: Call, decision: Decision, denial: Denial): Refusal | undefined {
    const { verdict } = this.#withoutProof(exchange, decision, denial);
    const permit = Permit.ask(this.#given.applyVerdict, verdict);
    return permit instanceof Permit ? undefined : permit;
  }

  onMalformed(refusal: Refusal): string {
    const requestId = requestIdOf(undefined);
    const { telemetry, config } = this.#given;
    telemetry.record(malformed('inbound', requestId, undefined, config.service, refusal));
    return requestId;
  }

  mayResend(exchange: Call, reused: boolean): boolean {
    return reused && idempotent.has(exchange.method);
  }

  /** Connections to the app are plain. */
  prepareAgain(): void {
    throw new Error('a connection to the app was to be sealed');
  }

  /** Requests to the app share no connection. */
  sendAgain(): void {
    throw new Error('a request to the app was displaced');
  }

  onResponse(_exchange: Call, _head: ResponseHead): undefined {}

  /** The mark of a call that was denied and is forwarded: only the caller's sidecar knows what it had signed. */
  addResponseFields({ facts: { verdict } }: Call, fields: FieldSection): void {
    if ('refused' in verdict || verdict.allowed) return;
    fields.add(denialField, verdict.denial.reason);
  }

  /** The key of a key id that may prove a sealed connection now. */
  keyOf(kid: string): CallerKey | undefined {
    const key = this.#given.keyring.inbound.get(kid);
    return key === undefined || key.notAfterMs <= Date.now() ? undefined : key;
  }

  onTunnel(exchange: Call): void {
    this.#tunnels.add(exchange);
  }

  /** Ends the tunnels of callers that have no key any more. */
  onKeyring(keyring: Keyring): void {
    this.#given.keyring = keyring;
    const callers = new Set([...keyring.inbound.values()].map((key) => key.caller));
    for (const tunnel of this.#tunnels) {
      const { caller } = tunnel.facts;
      if (caller !== undefined && !callers.has(caller)) tunnel.abort();
    }
  }

  onPolicy(
    rules: ServiceRules,
    { coveredFields, operators }: Pick<InboundDependencies, 'coveredFields' | 'operators'>,
  ): void {
    this.#given.rules = rules;
    this.#given.coveredFields = coveredFields;
    this.#given.operators = operators;
  }

  /** From now on operators can read what the admin listener tells. */
  serveDocuments(admin: Destination): void {
    this.#operatorReads = new OperatorReads(admin);
  }

  onTunnelEnd(exchange: Call): void {
    this.#tunnels.delete(exchange);
  }

  /** A trace is continued for proven callers only: nobody else may have us send spans. */
  onStart({ caller }: CallFacts, head: RequestHead): Span | undefined {
    const { telemetry } = this.#given;
    telemetry.callStarted('inbound');
    if (caller === undefined || !telemetry.tracesCalls) return undefined;
    return continueTrace(head.known(fieldId.traceparent));
  }

  onEnd(call: CallRecord): void {
    this.#given.telemetry.callEnded(call);
  }
}

/** Notes what a denied call says of itself. */
function deny(facts: CallFacts, { claimed, kid }: Extract<Verdict, { allowed: false }>): void {
  facts.claimed = claimed;
  facts.kid = kid;
}

/** The first covered field that Connection names: the app would not get what the caller signed. */
function coveredHopByHop(proof: Proven, { hopByHop }: RequestHead): string | undefined {
  if (hopByHop === undefined) return undefined;
  return proof.coverage.components.find(({ name }) => hopByHop.has(name))?.name;
}
