import { CoreError, type CoreErrorCode, type OpenAiError } from '../terms/errors.ts';

/** The model's own refusal (400 to 499), passed on as it is. */
export class ModelRefusal extends Error {
  readonly code = 'model-refusal';
  readonly status: number;
  readonly body: OpenAiError;
  /** What the model server asked to wait before another try; undefined when it did not. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, body: OpenAiError, retryAfterMs?: number) {
    super(body.error.message);
    this.name = 'ModelRefusal';
    this.status = status;
    this.body = body;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A call that brought no answer, and what may be done about it. */
export class ModelFailure extends CoreError {
  /** True when the same call may succeed in a moment: no byte of an answer has come. */
  readonly retryable: boolean;
  /** True when the model itself did not do well, rather than the way to it. */
  readonly countsAgainstModel: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: CoreErrorCode,
    message: string,
    options: ErrorOptions & {
      retryable?: boolean;
      countsAgainstModel?: boolean;
      retryAfterMs?: number | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.name = 'ModelFailure';
    this.retryable = options.retryable ?? false;
    this.countsAgainstModel = options.countsAgainstModel ?? this.retryable;
    this.retryAfterMs = options.retryAfterMs;
  }
}
