import type * as z from 'zod';

/** What zod calls a record or an array is a mapping or a list in YAML. */
const kinds: Readonly<Record<string, string>> = {
  record: 'a mapping',
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

/** What was expected, in the words of the files; for schemas that do not say it themselves. */
export const wording: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? `a value of type ${issue.expected}`;
    case 'invalid_value':
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return bound(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return bound(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'unrecognized_keys':
      return 'only known keys';
    default:
      return 'a value that the reference describes';
  }
};

function bound(origin: string, relation: string, limit: number | bigint): string {
  const of = `${relation} ${limit}`;
  if (origin === 'array') return `a list of ${of}`;
  if (origin === 'string') return `text of ${of} character${limit === 1 ? '' : 's'}`;
  return `a number of ${of}`;
}
