import { AnsweredNo } from '../terms/exit-codes.ts';

/** A swap was not done; the message says why, and what to look at. */
export class SwapError extends AnsweredNo {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SwapError';
  }
}
