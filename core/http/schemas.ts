import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import * as z from 'zod';
import { CoreError } from '../terms/errors.ts';

/** Lets fastify infer the types of a route from its zod schemas. */
export interface ZodTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

/** Every error that this service answers with. */
const openAiError = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

/** What every route may answer with instead. */
export const errorAnswers = { '4xx': openAiError, '5xx': openAiError };

/** Makes a server check what comes in with zod. What goes out is ours and is not checked at run time. */
export function useZod(app: FastifyInstance): void {
  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    const result = (schema as z.ZodType).safeParse(data);
    return result.success ? { value: result.data } : { error: toInvalidRequest(result.error, httpPart) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

/** A zod schema as JSON Schema for the OpenAPI page. */
export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...jsonSchema } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return jsonSchema;
}

function toInvalidRequest(error: z.ZodError, httpPart: string | undefined): CoreError {
  const problems = error.issues.slice(0, 5).map((issue) => {
    const place = issue.path.join('.') || (httpPart ?? 'body');
    return `${place}: ${issue.message.replace(/^Invalid input: /, '')}`;
  });
  const param = error.issues[0]?.path.join('.') || undefined;
  return new CoreError('invalid_request', problems.join('; '), {
    cause: error,
    ...(param === undefined ? {} : { param }),
  });
}
