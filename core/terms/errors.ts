/**
 * Every error that a client of the core service can see: one table of code → status and OpenAI error type.
 * Codes are stable; clients may switch on them.
 */
export const coreErrors = {
  invalid_request: { status: 400, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  not_allowed: { status: 403, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  session_not_found: { status: 404, type: 'invalid_request_error' },
  file_not_found: { status: 404, type: 'invalid_request_error' },
  stream_not_found: { status: 404, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  session_exists: { status: 409, type: 'invalid_request_error' },
  idempotency_key_reused: { status: 409, type: 'invalid_request_error' },
  turn_stopped: { status: 409, type: 'invalid_request_error' },
  file_gone: { status: 410, type: 'invalid_request_error' },
  precondition_failed: { status: 412, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  range_not_satisfiable: { status: 416, type: 'invalid_request_error' },
  head_too_large: { status: 431, type: 'invalid_request_error' },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error' },
  internal_error: { status: 500, type: 'server_error' },
  model_refused: { status: 502, type: 'server_error' },
  model_unavailable: { status: 502, type: 'server_error' },
  model_interrupted: { status: 502, type: 'server_error' },
  storage_outdated: { status: 503, type: 'server_error' },
  storage_unavailable: { status: 503, type: 'server_error' },
  session_taken_over: { status: 503, type: 'server_error' },
  storage_busy: { status: 503, type: 'server_error' },
  shutting_down: { status: 503, type: 'server_error' },
  model_timeout: { status: 504, type: 'server_error' },
  storage_full: { status: 507, type: 'server_error' },
} as const satisfies Record<string, { status: number; type: string }>;

export type CoreErrorCode = keyof typeof coreErrors;

/** A failure with a stable code; the message says what was found, what was expected, what to do. */
export class CoreError extends Error {
  readonly code: CoreErrorCode;
  /** The request field that is to blame, such as `messages`. */
  readonly param: string | null;
  /** When trying again may help. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: CoreErrorCode,
    message: string,
    options?: ErrorOptions & { param?: string; retryAfterSeconds?: number },
  ) {
    super(message, options);
    this.name = 'CoreError';
    this.code = code;
    this.param = options?.param ?? null;
    this.retryAfterSeconds = options?.retryAfterSeconds;
  }

  get status(): number {
    return coreErrors[this.code].status;
  }
}

/** An error as OpenAI clients expect it. */
export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** What the client is told; anything that is not a CoreError is an internal error without its details. */
export function toOpenAiError(error: unknown): OpenAiError {
  const known =
    error instanceof CoreError
      ? error
      : new CoreError('internal_error', 'the core service failed; its log has the details');
  return {
    error: {
      message: known.message,
      type: coreErrors[known.code].type,
      param: known.param,
      code: known.code,
    },
  };
}
