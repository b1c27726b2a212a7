import type { Destination } from '../exchange/ends.ts';
import type { Call, Role } from '../exchange/role.ts';
import { dropTable } from '../http1/field-lines.ts';
import { FieldSection } from '../http1/field-section.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { OperatorDocument } from '../policy/operator-reads.ts';
import { responseHopFields, serviceAnswerFields } from '../terms/field-names.ts';
import type { Permit } from '../terms/permit.ts';

/** As `/events` numbers them. */
const eventId = /^[0-9a-z]{1,16}-\d{1,16}$/;

/**
 * Reads of the sidecar's own documents by operators: they go to the admin listener instead of the app. They are no calls
 * of the service, so they are not counted, observed or logged as such.
 */
export class OperatorReads implements Role {
  readonly direction = 'inbound';
  readonly responseDrop = dropTable(...responseHopFields, ...serviceAnswerFields, 'x-service-refusal');
  readonly #admin: readonly Destination[];

  /** @param admin the admin listener of this sidecar */
  constructor(admin: Destination) {
    this.#admin = [admin];
  }

  /** Has the admin listener answer. Of the request only the method and the place in a stream of events are passed on. */
  send(exchange: Call, head: RequestHead, document: OperatorDocument, permit: Permit): void {
    const fields = new FieldSection().add('Host', 'localhost');
    const [lastSeen = '', ...others] = head.fieldLines('last-event-id');
    if (others.length === 0 && eventId.test(lastSeen)) fields.add('Last-Event-ID', lastSeen);
    const request = {
      method: head.method,
      target: `/${document}`,
      fields,
      framing: 'none',
      length: 0,
      upgrade: false,
    } as const;
    const prepared = { permit, request, body: undefined, shareable: false, sealed: false };
    exchange.send({ destinations: this.#admin, prepared, isStreamed: false });
  }

  mayResend(_exchange: Call, reused: boolean): boolean {
    return reused;
  }

  /** Connections to the admin listener are plain. */
  prepareAgain(): void {
    throw new Error('a connection to the admin listener was to be sealed');
  }

  /** Requests to the admin listener share no connection. */
  sendAgain(): void {
    throw new Error('a request to the admin listener was displaced');
  }

  onResponse(): undefined {}

  addResponseFields(): void {}

  /** A request for an upgrade is none of these. */
  onTunnel(): void {}

  onTunnelEnd(): void {}

  onStart(): undefined {}

  onEnd(): void {}
}
