import type { BodyGuard } from '../exchange/exchange.ts';
import { fieldId, fieldNames } from '../http1/field-names.ts';
import type { Refusal } from '../http1/framing.ts';
import type { RequestHead } from '../http1/request-head.ts';

const known = new Set<string>(fieldNames);

/** Fields that say who calls or what was signed: no trailer may bring them in behind the check of the head. */
const identity = /^(?:x-service-|signature$|signature-input$|content-digest$)/;

/**
 * The body of a call that nobody signed as a stream: it passes as it comes, and of its trailer section what an app
 * could mistake for something that was checked is refused or left out.
 */
export class TrailerFilter implements BodyGuard {
  readonly #announced: boolean;

  constructor(head: RequestHead) {
    this.#announced = head.known(fieldId.trailer)?.toLowerCase().includes('signature-input') ?? false;
  }

  update(): void {}

  finish(trailers: ReadonlyMap<string, string> | undefined): string | Refusal {
    let lines = '';
    for (const [name, value] of trailers ?? []) {
      const plain = name.replaceAll('_', '-');
      if (identity.test(plain) && !this.#announced) {
        return {
          reason: 'malformed-request',
          detail: `The trailer section holds ${plain}, which belongs in the head.`,
        };
      }
      if (!known.has(plain) && !identity.test(plain)) lines += `${name}: ${value}\r\n`;
    }
    return lines;
  }
}
