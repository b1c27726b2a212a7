import type * as z from 'zod';

type Schema = z.core.$ZodType;

/** What is below the wrappers of a schema: optional, default and the like. */
export function unwrapped(schema: Schema): z.core.$ZodTypes {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return unwrapped(def.innerType);
    case 'pipe':
      return unwrapped(def.in);
    default:
      return schema as z.core.$ZodTypes;
  }
}

/** The keys that a mapping may have, by the schema that it is in and the path to it; none where any key may stand. */
export function allowedKeys(schema: Schema, path: readonly PropertyKey[]): readonly string[] {
  const inner = unwrapped(schema)._zod.def;
  const [key, ...rest] = path;
  if (inner.type === 'union') return inner.options.flatMap((option) => allowedKeys(option, path));
  if (key === undefined) return inner.type === 'object' ? Object.keys(inner.shape) : [];
  if (inner.type === 'object') {
    const child = inner.shape[String(key)];
    return child === undefined ? [] : allowedKeys(child, rest);
  }
  if (inner.type === 'record') return allowedKeys(inner.valueType, rest);
  if (inner.type === 'array') return allowedKeys(inner.element, rest);
  return [];
}
