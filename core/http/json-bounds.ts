import type { FastifyInstance } from 'fastify';
import { CoreError } from '../terms/errors.ts';

/** Most keys of all objects of a JSON body together: what parsing and checking them costs stays below some 20 ms. */
export const maxJsonKeys = 50_000;
/** Deepest nesting of objects and arrays. */
export const maxJsonDepth = 64;

/** Makes a server refuse JSON bodies that would keep its thread busy, before they are parsed. */
export function useJsonBounds(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    try {
      checkJsonBounds(body);
    } catch (error) {
      return done(error as Error);
    }
    return parse(request, body, done);
  });
}

/**
 * Counts the keys and the depth of a JSON text without parsing it. What is not JSON passes: parsing says what is wrong.
 *
 * @throws {CoreError} `invalid_request`
 */
export function checkJsonBounds(text: string): void {
  let depth = 0;
  let keys = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22: // "
        index = endOfString(text, index);
        break;
      case 0x3a: // :
        if (++keys > maxJsonKeys) throw tooMuch(`more than ${maxJsonKeys} keys`, `at most ${maxJsonKeys}`);
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > maxJsonDepth) {
          throw tooMuch(`values nested more than ${maxJsonDepth} deep`, `at most ${maxJsonDepth} levels`);
        }
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
    }
  }
}

/** Where the string that begins at `start` ends; strings hold most of a body, so this is what has to be fast. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

function tooMuch(found: string, expected: string): CoreError {
  return new CoreError('invalid_request', `body: found ${found}, expected ${expected}`, { param: 'body' });
}
