/**
 * A conservative estimate of how many tokens a text has, for vocabularies that are not at hand: rather a few too many than one
 * too few, for each kind of text. Its weights are the worst of Qwen 2.5, Llama 3.2 and Phi-3 on texts of that kind
 * (test/core/tokens/text-estimate.test.ts measures them again), with every digit a token of its own, as Qwen and Phi have it.
 */
export function estimateText(text: string, limit = Number.POSITIVE_INFINITY): number {
  let tokens = 0;
  for (const { 0: run, index } of text.matchAll(runs)) {
    tokens += isBlank(run.charCodeAt(0))
      ? estimateBlank(run, text.charCodeAt(index + run.length))
      : estimateRun(run);
    if (tokens > limit) break;
  }
  return Math.ceil(tokens);
}

const runs = /[A-Za-z0-9+/=_-]+| +|[\t\r\n]+|[^A-Za-z0-9+/=_\s-]+|\s/gu;

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

/** @param next the code of the character after it: a space before a letter is mostly a part of the word */
function estimateBlank(run: string, next: number): number {
  if (run.charCodeAt(0) !== 32) return run.length;
  if (run.length > 1) return 1 + run.length / 8;
  return isLetter(next) ? spaceTokens : 1;
}

function isLetter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

function estimateRun(run: string): number {
  if (isAsciiWord.test(run)) return estimateWord(run);
  let tokens = 0;
  for (const character of run) tokens += weightOf(character.codePointAt(0) as number);
  return tokens;
}

const isAsciiWord = /^[A-Za-z0-9+/=_-]+$/;
const spaceTokens = 0.15;
const word = /^(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,3})$/;
const wordsInName = /[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]|[0-9]|[^A-Za-z0-9]/g;
const digitsOnly = /^[0-9]+$/;

/** A word, an identifier, a number, or what looks like random letters (base64, hex, a UUID). */
function estimateWord(run: string): number {
  if (word.test(run)) return wordTokens(run.length);
  if (digitsOnly.test(run)) return run.length;
  if (looksRandom(run)) return run.length - 0.1 * (run.match(/[A-Za-z]/g)?.length ?? 0);
  let tokens = 0;
  for (const [part] of run.matchAll(wordsInName)) tokens += part.length === 1 ? 1 : wordTokens(part.length);
  return tokens;
}

function wordTokens(length: number): number {
  return length <= 2 ? 1.1 : 1 + (length - 2) / 4;
}

/** Changes often between digits, capitals and small letters, or has many letters in a row. */
function looksRandom(run: string): boolean {
  if (run.length < 6) return /[0-9]/.test(run);
  let changes = 0;
  let last = kindOf(run.charCodeAt(0));
  for (let i = 1; i < run.length; i++) {
    const kind = kindOf(run.charCodeAt(i));
    if (kind !== last) changes++;
    last = kind;
  }
  return changes > run.length / 5 || (run.length > 24 && !/[_-]/.test(run));
}

function kindOf(code: number): number {
  if (code >= 97) return 0;
  if (code >= 65) return code === 95 ? 3 : 1;
  return code >= 48 && code <= 57 ? 2 : 3;
}

/** Tokens of one character outside of ASCII words; never more than its bytes in UTF-8, which is the most that any tokenizer takes. */
function weightOf(code: number): number {
  if (code < 0x80) return 1;
  if (code < 0x250) return 1.2;
  if (code < 0x530) return 1;
  if (code < 0x800) return 1.6;
  if (code >= 0x0e00 && code < 0x0e80) return 1.8;
  if (code >= 0x2000 && code < 0x2070) return 1.5;
  if (code >= 0x3000 && code < 0x3100) return 1.3;
  if (code >= 0x4e00 && code < 0xa000) return 1.7;
  if (code >= 0xff00 && code < 0xffef) return 1.5;
  return code < 0x10000 ? 3 : 4;
}
