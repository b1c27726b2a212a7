import type { SignableRequest } from '../../sidecar/signature/message.ts';
import { fieldNames } from '../../sidecar/terms/field-names.ts';

export interface PlainRequest {
  method?: string;
  scheme?: string;
  authority?: string;
  target?: string;
  /** Field lines in order; names in lower case. */
  fields?: readonly (readonly [string, string])[];
  trailers?: Readonly<Record<string, string>>;
}

/** A SignableRequest from plain values, taken as they are. */
export function plainRequest(request: PlainRequest): SignableRequest {
  const {
    method = 'GET',
    scheme = 'http',
    authority = 'npu-worker',
    target = '/',
    fields = [],
    trailers,
  } = request;
  const mark = target.indexOf('?');
  const fieldLines = (name: string) => fields.filter(([key]) => key === name).map(([, value]) => value);
  const field = (name: string) => {
    const lines = fieldLines(name);
    return lines.length === 0 ? undefined : lines.join(', ');
  };
  return {
    method,
    scheme,
    authority,
    target,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '?' : target.slice(mark),
    field,
    known: (id) => field(fieldNames[id] as string),
    fieldLines,
    trailer: (name) => trailers?.[name],
    trailerNames: () => Object.keys(trailers ?? {}),
  };
}
