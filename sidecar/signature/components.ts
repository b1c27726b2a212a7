import { fieldNumber } from '../terms/field-names.ts';
import type { SignableRequest } from './message.ts';
import {
  serializeDictionary,
  serializeItem,
  serializeItems,
  serializeList,
  serializeMember,
  stringValue,
} from './serialize.ts';
import { SignatureError } from './signature-error.ts';
import { type Item, parseDictionary, parseList, StructuredFieldError } from './structured-fields.ts';

/** One covered component of a request (RFC 9421 §2), ready to be read from messages. */
export interface Component {
  /** The component identifier as it stands in the signature base, parameters included. */
  readonly identifier: string;
  readonly name: string;
  readonly read: (message: SignableRequest) => string | undefined;
}

const derived: Readonly<Record<string, (message: SignableRequest) => string>> = {
  '@method': (message) => message.method,
  '@target-uri': (message) =>
    `${message.scheme}://${message.authority}${message.path}${withoutBareMark(message.query)}`,
  '@authority': (message) => message.authority,
  '@scheme': (message) => message.scheme,
  '@request-target': (message) => message.target,
  '@path': (message) => message.path,
  '@query': (message) => message.query,
};

const withoutBareMark = (query: string) => (query === '?' ? '' : query);

const fieldName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

/** The parameters of a component by key; `true` for a flag, the text for a string. */
function parametersOf(item: Item, allowed: readonly string[]): Map<string, string | true> {
  const params = new Map<string, string | true>();
  for (const { key, type, text } of item.params) {
    if (!allowed.includes(key))
      throw new SignatureError(
        'malformed-signature',
        `the component ${serializeItem(item)} has the parameter ${key}; ${allowed.length > 0 ? `only ${allowed.join(', ')} may stand there` : 'it takes none'}`,
      );
    if (key === 'name' || key === 'key') {
      if (type !== 'string')
        throw new SignatureError(
          'malformed-signature',
          `the parameter ${key} of ${item.text} is not a string`,
        );
      params.set(key, stringValue(text));
    } else {
      if (type !== 'boolean')
        throw new SignatureError('malformed-signature', `the parameter ${key} of ${item.text} is not a flag`);
      if (text === '?1') params.set(key, true);
      else
        throw new SignatureError(
          'malformed-signature',
          `the parameter ${key} of ${item.text} is false; leave it out`,
        );
    }
  }
  return params;
}

/**
 * Understands one component identifier.
 *
 * @throws {SignatureError} malformed-signature, when it is none that a request can have
 */
export function componentOf(item: Item): Component {
  if (item.type !== 'string')
    throw new SignatureError('malformed-signature', `the covered component ${item.text} is not a string`);
  const name = stringValue(item.text);
  const identifier = serializeItem(item);
  const make = (read: Component['read']): Component => ({
    identifier,
    name,
    read,
  });

  if (name === '@query-param') {
    const params = parametersOf(item, ['name']);
    const wanted = params.get('name');
    if (typeof wanted !== 'string')
      throw new SignatureError('malformed-signature', '"@query-param" needs the parameter name');
    return make((message) => queryParam(message.query, wanted));
  }
  if (name.startsWith('@')) {
    const read = Object.hasOwn(derived, name) ? derived[name] : undefined;
    if (read === undefined)
      throw new SignatureError(
        'malformed-signature',
        `${item.text} is no derived component of a request (RFC 9421 §2.2)`,
      );
    parametersOf(item, []);
    return make(read);
  }
  if (!fieldName.test(name))
    throw new SignatureError('malformed-signature', `${item.text} is no field name in lower case`);
  return make(fieldReader(item, name));
}

function fieldReader(item: Item, name: string): Component['read'] {
  const params = parametersOf(item, ['sf', 'key', 'bs', 'tr']);
  const key = params.get('key');
  const trailer = params.has('tr');
  if (params.has('bs')) {
    if (params.has('sf') || key !== undefined)
      throw new SignatureError(
        'malformed-signature',
        `${item.text} has bs beside sf or key; expected one of them`,
      );
    // A trailer section keeps combined values only, so its lines can't be told apart.
    return (message) => {
      const combined = trailer ? message.trailer(name) : undefined;
      const lines = trailer ? (combined === undefined ? [] : [combined]) : message.fieldLines(name);
      if (lines.length === 0) return undefined;
      return lines.map((line) => `:${Buffer.from(line, 'latin1').toString('base64')}:`).join(', ');
    };
  }
  const id = fieldNumber(name);
  let read: Component['read'] = (message) => message.known(id);
  if (trailer) read = (message) => message.trailer(name);
  else if (id === 0) read = (message) => message.field(name);
  if (typeof key === 'string')
    return (message) => {
      const value = read(message);
      return value === undefined ? undefined : dictionaryMember(value, key);
    };
  if (params.has('sf'))
    return (message) => {
      const value = read(message);
      return value === undefined ? undefined : reserialize(name, value);
    };
  return read;
}

/** RFC 9421 §2.1.2: the value of one member of a dictionary field. */
function dictionaryMember(value: string, key: string): string | undefined {
  try {
    const member = parseDictionary(value).get(key);
    return member && serializeMember(member);
  } catch (error) {
    if (error instanceof StructuredFieldError) return undefined;
    throw error;
  }
}

/**
 * RFC 9421 §2.1.1. Which type a field has needs no registry: where a text is both a dictionary without duplicate
 * keys and a list (an item being a list of one), both serialise to the same text.
 */
function reserialize(name: string, value: string): string {
  try {
    return serializeDictionary(parseDictionary(value));
  } catch (error) {
    if (!(error instanceof StructuredFieldError)) throw error;
  }
  try {
    return serializeList(parseList(value));
  } catch (error) {
    if (!(error instanceof StructuredFieldError)) throw error;
    throw new SignatureError('component-missing', `"${name}";sf: the field is no structured field`);
  }
}

/**
 * RFC 9421 §2.2.8: a query parameter by its name, both name and value decoded and encoded anew; one that occurs more
 * than once has no value.
 */
function queryParam(query: string, wanted: string): string | undefined {
  let value: string | undefined;
  // The query is raw bytes in a latin1 text; URLSearchParams would read those as characters.
  const ascii = query.slice(1).replace(/[^\x21-\x7e]/g, percentEncode);
  for (const [name, candidate] of new URLSearchParams(ascii)) {
    if (formEncode(name) !== wanted) continue;
    if (value !== undefined)
      throw new SignatureError('component-missing', `the query has the parameter ${wanted} more than once`);
    value = formEncode(candidate);
  }
  return value;
}

const percentEncode = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** Percent-encoding of UTF-8 that leaves letters, digits and `*-._` alone, and makes a space `%20`. */
const formEncode = (text: string) =>
  encodeURIComponent(text.toWellFormed()).replace(/[!'()~]/g, percentEncode);

/** Covered components in their order, with all that depends on them alone. */
export interface Coverage {
  readonly items: readonly Item[];
  readonly components: readonly Component[];
  /** What stands before each value in the signature base, and before the parameters in the end. */
  readonly prefixes: readonly string[];
  /** The inner list as the signature base has it, without parameters. */
  readonly text: string;
  /** Identifiers without parameters: the only ones that count as covering a field or derived component wholly. */
  readonly whole: ReadonlySet<string>;
}

/** @throws {SignatureError} malformed-signature */
export function coverageOf(items: readonly Item[]): Coverage {
  const components = items.map(componentOf);
  const seen = new Set<string>();
  for (const item of items) {
    // RFC 9421 §2: the order of parameters does not make two identifiers different.
    const params = item.params.map(({ key, text }) => `;${key}=${text}`).sort();
    const identity = item.text + params.join('');
    if (seen.has(identity))
      throw new SignatureError(
        'malformed-signature',
        `${serializeItem(item)} is covered twice; expected once`,
      );
    seen.add(identity);
  }
  const whole = new Set(components.filter((_, i) => items[i]?.params.length === 0).map(({ name }) => name));
  const identifiers = [...components.map(({ identifier }) => identifier), '"@signature-params"'];
  const prefixes = identifiers.map((identifier, i) => `${i === 0 ? '' : '\n'}${identifier}: `);
  return { items, components, prefixes, text: serializeItems(items), whole };
}
