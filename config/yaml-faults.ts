import type { ErrorCode, YAMLError } from 'yaml';

type Fault = { readonly found: string; readonly expected: string };

const syntax: Readonly<Record<ErrorCode, Fault>> = {
  ALIAS_PROPS: { found: 'an alias with a tag or anchor', expected: 'the value itself' },
  BAD_ALIAS: { found: 'an unquoted * that is no value', expected: 'quotes around text that starts with *' },
  BAD_COLLECTION_TYPE: { found: 'a tag that does not fit its value', expected: 'the value without a tag' },
  BAD_DIRECTIVE: { found: 'an unknown directive', expected: 'no line that starts with %' },
  BAD_DQ_ESCAPE: { found: 'an unknown escape in double quotes', expected: 'single quotes, or \\\\ for \\' },
  BAD_INDENT: { found: 'wrong indentation', expected: 'the keys of one mapping in one column' },
  BAD_PROP_ORDER: { found: 'a tag or anchor in the wrong place', expected: 'the value itself' },
  BAD_SCALAR_START: {
    found: 'unquoted text with a special first character',
    expected: 'quotes around it',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    found: 'a mapping inside a line that already has a value',
    expected: 'one "key: value" a line, and quotes around text with ": "',
  },
  BLOCK_IN_FLOW: { found: 'a block inside { } or [ ]', expected: '{ } or [ ] throughout' },
  DUPLICATE_KEY: { found: 'a key that stands there already', expected: 'each key once' },
  IMPOSSIBLE: { found: 'text that is not YAML', expected: 'valid YAML 1.2' },
  KEY_OVER_1024_CHARS: { found: 'a key of more than 1024 characters', expected: 'a shorter key' },
  MISSING_CHAR: {
    found: 'an unfinished value',
    expected: 'the closing quote, bracket or brace, the comma or the colon that is missing',
  },
  MULTILINE_IMPLICIT_KEY: {
    found: 'a key that goes over several lines',
    expected: 'a colon after the key, on the same line',
  },
  MULTIPLE_ANCHORS: { found: 'several anchors', expected: 'no anchor' },
  MULTIPLE_DOCS: { found: 'several documents', expected: 'one document, without a second ---' },
  MULTIPLE_TAGS: { found: 'several tags', expected: 'no tag' },
  NON_STRING_KEY: { found: 'a key that is no text', expected: 'text as the key' },
  RESOURCE_EXHAUSTION: { found: 'too deep a nesting', expected: 'fewer levels' },
  TAB_AS_INDENT: { found: 'a tab as indentation', expected: 'spaces' },
  TAG_RESOLVE_FAILED: { found: 'an unknown tag', expected: 'the value without a tag' },
  UNEXPECTED_TOKEN: {
    found: 'a character that cannot stand here',
    expected: 'valid YAML 1.2; quote text with special characters',
  },
};

/** What a fault of the parser means to the author of the file. */
export function wordingOf(fault: YAMLError): Fault {
  return syntax[fault.code];
}

/**
 * The faults worth telling: all keys that stand there twice, or else the first one alone, since what comes after a
 * syntax error is misread because of it.
 */
export function faultsToTell(faults: readonly YAMLError[]): readonly YAMLError[] {
  const first = faults[0];
  return first === undefined || first.code !== 'DUPLICATE_KEY'
    ? faults.slice(0, 1)
    : faults.filter(({ code }) => code === 'DUPLICATE_KEY');
}
