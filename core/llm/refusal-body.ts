import type { OpenAiError } from '../terms/errors.ts';

/** What the body of an error says. */
export type RefusalBody =
  | { readonly kind: 'problem'; readonly message: string }
  | { readonly kind: 'openai'; readonly message: string; readonly body: OpenAiError };

/** Reads an RFC 9457 problem (a sidecar's) or an OpenAI error (the model's); undefined when it is neither. */
export function parseRefusal(text: string, contentType: string): RefusalBody | undefined {
  let data: Record<string, unknown>;
  try {
    data = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (contentType.startsWith('application/problem+json')) {
    const { reason, title, detail } = data;
    return {
      kind: 'problem',
      message: [reason, detail ?? title].filter((part) => part !== undefined).join(': '),
    };
  }
  const error =
    typeof data?.error === 'string' ? { message: data.error } : (data?.error as Record<string, unknown>);
  if (typeof error?.message !== 'string') return undefined;
  return {
    kind: 'openai',
    message: error.message,
    body: {
      error: {
        message: error.message,
        type: typeof error.type === 'string' ? error.type : 'invalid_request_error',
        param: typeof error.param === 'string' ? error.param : null,
        code: typeof error.code === 'string' ? error.code : null,
      },
    },
  };
}
