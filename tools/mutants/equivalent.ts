/** A fault that changes nothing that anybody can see, so that no test can notice it. */
export interface Equivalent {
  readonly file: string;
  /** The line with the fault in it, without the blanks around. */
  readonly line: string;
  readonly why: string;
}

/** Read by people: each entry needs a reason that holds. A test refuses entries whose file has changed so that they fit nothing. */
export const equivalents: readonly Equivalent[] = [
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'if (false) return noParams;',
    why: 'the loop below finds no parameter either; the list that all share only saves making an empty one',
  },
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'else if (false) seen = new Set(params.map((param) => param.key));',
    why: 'a key that occurs twice is found in the list just as in the set; the set only saves time where there are many',
  },
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'while (this.at <= this.text.length && (classes[this.text.charCodeAt(this.at)]! & 1) !== 0) this.at++;',
    why: 'behind the end of a text there is no character, whose class is 0 in an expression of bits',
  },
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'for (let c = 1; c < 128; c++) {',
    why: 'character 0 has no class, as every other entry of the table at first',
  },
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'if (false ? seen.has(key) : members.some((other) => other.key === key))',
    why: 'the set only saves time where there are many members; the list holds the same keys',
  },
  {
    file: 'sidecar/http1/head-refusal.ts',
    line: 'for (let at = buffer.indexOf(0x0d, start); at >= 0 && at < end - 1; at = buffer.indexOf(0x0d, at + 2)) {',
    why: 'behind each CR that the loop passes stands an LF, which is no CR',
  },
  {
    file: 'sidecar/signature/verify.ts',
    line: 'if (signatureInput === undefined && signature === undefined || member === undefined) return missing(head);',
    why: 'a member is only found where both fields are; the two comparisons tell the type checker',
  },
  {
    file: 'sidecar/signature/structured-fields.ts',
    line: 'else if (false) seen = new Set(members.map((other) => other.key));',
    why: 'the set only saves time where there are many members; the list holds the same keys',
  },
];
