/**
 * Structured Field Values for HTTP (RFC 9651): a strict parser that keeps, of every value, the one text that
 * RFC 9651 §4.1 serialises it to. That text is what a signature base is made of, so nothing here is repaired:
 * what the grammar does not allow is refused, and so are duplicate keys, of which the RFC would keep the last.
 */

export type BareType = 'integer' | 'decimal' | 'string' | 'token' | 'bytes' | 'boolean' | 'date' | 'display';

/** A bare item: its type and its canonical text (RFC 9651 §4.1.3.1), quotes and colons included. */
export interface BareItem {
  readonly type: BareType;
  readonly text: string;
}

export interface Parameter extends BareItem {
  readonly key: string;
}

export interface Item extends BareItem {
  readonly params: readonly Parameter[];
}

export interface InnerList {
  readonly items: readonly Item[];
  readonly params: readonly Parameter[];
  /** What the memory had of it. */
  readonly known?: KnownList;
}

/** A member of a list or dictionary; `items` is set for an inner list, `type` and `text` for an item. */
export type Member = (Item & { readonly items?: undefined }) | InnerList;

/** The text is no structured field of the expected type. */
export class StructuredFieldError extends Error {
  readonly code = 'malformed-structured-field';
}

const integerDigits = 15;
const decimalDigits = 12;
const fractionDigits = 3;
/** From this many keys on, duplicates are looked for in a set, so that a head full of them stays linear. */
const manyKeys = 8;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const isDigit = (c: number) => c >= 0x30 && c <= 0x39;
const isLower = (c: number) => c >= 0x61 && c <= 0x7a;
const isAlpha = (c: number) => isLower(c | 0x20);

/** By character code: 1 where a key may continue, 2 where a token may, 4 for a base64 digit. */
const classes = new Uint8Array(256);
/** By character code: the six bits of a base64 digit. */
const digitBits = new Uint8Array(256);
for (let c = 0; c < 128; c++) {
  const char = String.fromCharCode(c);
  if (/[a-z0-9_.*-]/.test(char)) classes[c]! |= 1;
  if (/[A-Za-z0-9!#$%&'*+.^_`|~:/-]/.test(char)) classes[c]! |= 2;
  if (/[A-Za-z0-9+/]/.test(char)) {
    classes[c]! |= 4;
    digitBits[c] = Buffer.from(`${char}A==`, 'base64').readUInt8() >>> 2;
  }
}

/** An inner list, its parameters excepted, that was parsed before. */
export interface KnownList {
  readonly items: readonly Item[];
}

/** Known lists by their exact text, parentheses included. */
export type ListMemory<Known extends KnownList> = ReadonlyMap<string, Known>;

const noMemory: ListMemory<KnownList> = new Map();
const noParams: readonly Parameter[] = [];

class Parser {
  readonly text: string;
  readonly memory: ListMemory<KnownList>;
  at = 0;

  constructor(text: string, memory: ListMemory<KnownList>) {
    this.text = text;
    this.memory = memory;
  }

  fail(expected: string): never {
    const found = this.at < this.text.length ? JSON.stringify(this.text[this.at]) : 'the end';
    throw new StructuredFieldError(`character ${this.at + 1} is ${found}; expected ${expected}`);
  }

  peek(): number {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  spaces(): void {
    while (this.peek() === 0x20) this.at++;
  }

  whitespace(): void {
    for (let c = this.peek(); c === 0x20 || c === 0x09; c = this.peek()) this.at++;
  }

  end(): void {
    this.spaces();
    if (this.at < this.text.length) this.fail('the end');
  }

  key(): string {
    const start = this.at;
    const first = this.peek();
    if (!isLower(first) && first !== 0x2a) this.fail('a key (a lower-case letter or *)');
    this.at++;
    while (this.at < this.text.length && (classes[this.text.charCodeAt(this.at)]! & 1) !== 0) this.at++;
    return this.text.slice(start, this.at);
  }

  /** Between two members of a list or dictionary; false at the end of the field. */
  comma(): boolean {
    this.whitespace();
    if (this.at >= this.text.length) return false;
    if (this.text.charCodeAt(this.at) !== 0x2c) this.fail('a comma');
    this.at++;
    this.whitespace();
    if (this.at >= this.text.length) this.fail('a member after the comma');
    return true;
  }

  member(): Member {
    return this.peek() === 0x28 ? this.innerList() : this.item();
  }

  innerList(): InnerList {
    const start = this.at;
    // An inner list ends where its grammar says, so a text parsed once as a whole parses the same anywhere.
    const close = this.text.indexOf(')', start);
    if (close > 0 && this.memory.size > 0) {
      const known = this.memory.get(this.text.slice(start, close + 1));
      if (known !== undefined) {
        this.at = close + 1;
        return { items: known.items, params: this.params(), known };
      }
    }
    this.at++;
    const items: Item[] = [];
    for (;;) {
      this.spaces();
      const c = this.peek();
      if (c === 0x29) break;
      if (c === -1) this.fail('")"');
      items.push(this.item());
      const next = this.peek();
      if (next !== 0x20 && next !== 0x29) this.fail('a space or ")"');
    }
    this.at++;
    return { items, params: this.params() };
  }

  item(): Item {
    const { type, text } = this.bareItem();
    return { type, text, params: this.params() };
  }

  params(): readonly Parameter[] {
    if (this.peek() !== 0x3b) return noParams;
    const params: Parameter[] = [];
    let seen: Set<string> | undefined;
    while (this.peek() === 0x3b) {
      this.at++;
      this.spaces();
      const key = this.key();
      if (seen !== undefined ? seen.has(key) : params.some((param) => param.key === key))
        throw new StructuredFieldError(`the parameter ${key} occurs twice; expected it once`);
      let type: BareType = 'boolean';
      let text = '?1';
      if (this.peek() === 0x3d) {
        this.at++;
        ({ type, text } = this.bareItem());
      }
      params.push({ key, type, text });
      if (seen !== undefined) seen.add(key);
      else if (params.length > manyKeys) seen = new Set(params.map((param) => param.key));
    }
    return params;
  }

  bareItem(): BareItem {
    const c = this.peek();
    if (c === 0x22) return { type: 'string', text: this.string() };
    if (isDigit(c) || c === 0x2d) return this.number();
    if (isAlpha(c) || c === 0x2a) return { type: 'token', text: this.token() };
    if (c === 0x3a) return { type: 'bytes', text: this.bytes() };
    if (c === 0x3f) return { type: 'boolean', text: this.boolean() };
    if (c === 0x40) return { type: 'date', text: this.date() };
    if (c === 0x25) return { type: 'display', text: this.display() };
    return this.fail('an item');
  }

  string(): string {
    const start = this.at;
    const { text } = this;
    let i = start + 1;
    for (; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 0x22) {
        this.at = i + 1;
        return text.slice(start, i + 1);
      }
      if (c === 0x5c) {
        i++;
        const escaped = text.charCodeAt(i);
        if (escaped !== 0x22 && escaped !== 0x5c) break;
      } else if (c < 0x20 || c > 0x7e) break;
    }
    this.at = i;
    return this.fail('a printable ASCII character of a string, or its closing quote');
  }

  token(): string {
    const start = this.at++;
    while (this.at < this.text.length && (classes[this.text.charCodeAt(this.at)]! & 2) !== 0) this.at++;
    return this.text.slice(start, this.at);
  }

  /** Moves past digits; returns how many. */
  digits(): number {
    const start = this.at;
    while (isDigit(this.peek())) this.at++;
    return this.at - start;
  }

  number(): BareItem {
    const { text } = this;
    const negative = this.peek() === 0x2d;
    if (negative) this.at++;
    const start = this.at;
    const whole = this.digits();
    if (whole === 0) this.fail('a digit');
    if (this.peek() !== 0x2e) {
      if (whole > integerDigits) throw new StructuredFieldError(`an integer of ${whole} digits; at most 15`);
      const canonical = text.charCodeAt(start) === 0x30 ? String(Number(text.slice(start, this.at))) : '';
      if (canonical === '')
        return { type: 'integer', text: text.slice(negative ? start - 1 : start, this.at) };
      return { type: 'integer', text: negative && canonical !== '0' ? `-${canonical}` : canonical };
    }
    if (whole > decimalDigits) throw new StructuredFieldError(`${whole} digits before the point; at most 12`);
    this.at++;
    const point = this.at;
    const fraction = this.digits();
    if (fraction === 0) this.fail('a digit after the point');
    if (fraction > fractionDigits)
      throw new StructuredFieldError(`${fraction} digits after the point; at most 3`);
    const before = text.slice(start, point - 1).replace(/^0+(?=\d)/, '');
    const after = text.slice(point, this.at).replace(/(?<=\d)0+$/, '');
    const canonical = `${before}.${after}`;
    return { type: 'decimal', text: negative && canonical !== '0.0' ? `-${canonical}` : canonical };
  }

  /** Base64 is accepted in its one canonical form: padded, and without stray bits (RFC 4648 §3.5). */
  bytes(): string {
    const { text } = this;
    const start = this.at++;
    while (this.at < text.length && (classes[text.charCodeAt(this.at)]! & 4) !== 0) this.at++;
    const digits = this.at - start - 1;
    const padding = -digits & 3;
    const strayBits =
      padding === 0 ? 0 : digitBits[text.charCodeAt(this.at - 1)]! & ((1 << (2 * padding)) - 1);
    if (padding === 3 || strayBits !== 0) this.fail('canonical base64 between colons');
    for (let i = 0; i < padding; i++, this.at++) if (this.peek() !== 0x3d) this.fail('the padding of base64');
    if (this.peek() !== 0x3a) this.fail('canonical base64, and a colon at its end');
    this.at++;
    return text.slice(start, this.at);
  }

  boolean(): string {
    const c = this.text.charCodeAt(this.at + 1);
    if (c !== 0x30 && c !== 0x31) this.fail('?0 or ?1');
    this.at += 2;
    return c === 0x31 ? '?1' : '?0';
  }

  date(): string {
    this.at++;
    const c = this.peek();
    if (!isDigit(c) && c !== 0x2d) this.fail('an integer after @');
    const { type, text } = this.number();
    if (type !== 'integer') throw new StructuredFieldError(`the date @${text}; expected whole seconds`);
    return `@${text}`;
  }

  display(): string {
    const closing = /%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"/y;
    closing.lastIndex = this.at;
    const match = closing.exec(this.text);
    if (match === null) return this.fail('a display string: %"…" with lower-case percent-encoding');
    const raw = (match[1] as string).replace(/%(..)/g, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    const bytes = Buffer.from(raw, 'latin1');
    try {
      utf8.decode(bytes);
    } catch {
      this.fail('UTF-8 in a display string');
    }
    this.at = closing.lastIndex;
    const encoded = bytes.toString('latin1').replace(/[^ !#$&-~]/g, (char) => {
      return `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
    });
    return `%"${encoded}"`;
  }
}

/** A member of a dictionary, and where it stands in the text: from its key to the end of its parameters. */
export interface DictionaryMember {
  readonly key: string;
  readonly member: Member;
  readonly start: number;
  readonly end: number;
}

/**
 * Parses a dictionary (RFC 9651 §4.2.2) into its members in order, no two with the same key.
 *
 * @param memory inner lists that this parser gave before, by their text
 * @throws {StructuredFieldError}
 */
export function parseMembers(text: string, memory: ListMemory<KnownList> = noMemory): DictionaryMember[] {
  const parser = new Parser(text, memory);
  const members: DictionaryMember[] = [];
  let seen: Set<string> | undefined;
  parser.spaces();
  if (parser.at === text.length) return members;
  do {
    const start = parser.at;
    const key = parser.key();
    if (seen !== undefined ? seen.has(key) : members.some((other) => other.key === key))
      throw new StructuredFieldError(`the key ${key} occurs twice; expected it once`);
    let member: Member;
    if (parser.peek() === 0x3d) {
      parser.at++;
      member = parser.member();
    } else member = { type: 'boolean', text: '?1', params: parser.params() };
    members.push({ key, member, start, end: parser.at });
    if (seen !== undefined) seen.add(key);
    else if (members.length > manyKeys) seen = new Set(members.map((other) => other.key));
  } while (parser.comma());
  return members;
}

/** Parses a dictionary into its members by key. @throws {StructuredFieldError} */
export function parseDictionary(text: string): Map<string, Member> {
  return new Map(parseMembers(text).map(({ key, member }) => [key, member]));
}

/** Parses a list (RFC 9651 §4.2.1). @throws {StructuredFieldError} */
export function parseList(text: string): Member[] {
  const parser = new Parser(text, noMemory);
  const members: Member[] = [];
  parser.spaces();
  if (parser.at === text.length) return members;
  do members.push(parser.member());
  while (parser.comma());
  return members;
}

/** Parses an item (RFC 9651 §4.2.3). @throws {StructuredFieldError} */
export function parseItem(text: string): Item {
  const parser = new Parser(text, noMemory);
  parser.spaces();
  const item = parser.item();
  parser.end();
  return item;
}
