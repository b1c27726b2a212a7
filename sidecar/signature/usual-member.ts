/**
 * From call to call a caller's member of Signature-Input differs in `created` and the nonce only. So the rest of
 * what was proven is remembered as text, and a member that repeats it is read by comparison, for a fraction of what
 * the general parser costs; whatever differs in any way takes the general way, and a test holds the two to the same
 * answers.
 */
import { type OurMember, ownCoverage } from './our-member.ts';
import { headTag, nonceLength } from './tags.ts';

/** A member as its caller writes it. */
interface Form {
  readonly member: Pick<OurMember, 'label' | 'coverage' | 'keyid'>;
  /** As far as the digits of `created`: `svc=("@method" …);created=`. */
  readonly start: string;
  /** From behind these digits as far as the nonce: `;keyid="…";nonce="`. */
  readonly middle: string;
  /** How the Signature field begins: `svc=:`. */
  readonly signature: string;
}

const end = `";tag="${headTag}"`;
/** What seconds since the epoch have until the year 2286. */
const createdDigits = 10;
const macDigits = 44;
/** 32 bytes in canonical base64, when there are 44 of them: the last digit has no stray bits. */
const canonicalMac = /^[A-Za-z0-9+/]*[AEIMQUYcgkosw048]=$/;
const longestForm = 1024;

export class UsualMembers {
  /** What is used often comes to the front. */
  readonly #forms: Form[] = [];
  readonly #most: number;

  /** @param most forms to remember */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Our member, if both fields repeat what was proven before. Its MAC may be any text of the right length: whoever
   * finds that it is not the one expected looks with `isMac` whether it is one at all.
   */
  read(signatureInput: string | undefined, signature: string | undefined): OurMember | undefined {
    if (signatureInput === undefined || signature === undefined) return undefined;
    const forms = this.#forms;
    for (let i = 0; i < forms.length; i++) {
      const form = forms[i] as Form;
      const member = read(form, signatureInput, signature);
      if (member === undefined) continue;
      if (i > 0) {
        forms[i] = forms[i - 1] as Form;
        forms[i - 1] = form;
      }
      return member;
    }
    return undefined;
  }

  /** Remembers how a member is written that was proven: nobody else can fill the memory. */
  remember(proven: OurMember, signatureInput: string, signature: string): void {
    if (signatureInput.length > longestForm) return;
    const { label, coverage, keyid } = proven;
    const form = {
      member: { label: own(label), coverage: ownCoverage(coverage), keyid: own(keyid) },
      start: own(`${label}=${coverage.text};created=`),
      middle: own(`;keyid="${keyid}";nonce="`),
      signature: own(`${label}=:`),
    };
    if (read(form, signatureInput, signature) === undefined) return;
    if (this.#forms.length >= this.#most) this.#forms.pop();
    this.#forms.unshift(form);
  }
}

/** Whether a text of the length of a MAC is one: the base64 of 32 bytes. */
export function isMac(mac: string): boolean {
  return canonicalMac.test(mac);
}

// A slice that is compared as a whole costs a fraction of `startsWith`, which goes character by character.
function fits({ start, middle, signature }: Form, input: string, mac: string): boolean {
  const middleAt = start.length + createdDigits;
  return (
    input.slice(middleAt, middleAt + middle.length) === middle &&
    input.slice(0, start.length) === start &&
    input.slice(-end.length) === end &&
    mac.length === signature.length + macDigits + 1 &&
    mac.slice(0, signature.length) === signature &&
    mac.charCodeAt(mac.length - 1) === 0x3a
  );
}

function read(form: Form, signatureInput: string, signature: string): OurMember | undefined {
  if (!fits(form, signatureInput, signature)) return undefined;
  const { label, coverage, keyid } = form.member;
  const created = readCreated(signatureInput, form.start.length);
  const nonceAt = form.start.length + createdDigits + form.middle.length;
  const nonceEnd = signatureInput.length - end.length;
  if (created < 0 || !isNonce(signatureInput, nonceAt, nonceEnd)) return undefined;
  return {
    label,
    coverage,
    keyid,
    created,
    expires: undefined,
    nonce: signatureInput.slice(nonceAt, nonceEnd),
    signed: signatureInput.slice(label.length + 1),
    mac: signature.slice(form.signature.length, form.signature.length + macDigits),
    alone: true,
  };
}

/** A number of ten digits; -1 when there is none. */
function readCreated(text: string, at: number): number {
  let value = text.charCodeAt(at) === 0x30 ? -1 : 0;
  for (let i = at; i < at + createdDigits && value >= 0; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    value = digit >= 0 && digit <= 9 ? 10 * value + digit : -1;
  }
  return value;
}

/** Whether a nonce that may be used stands there, with nothing escaped. */
function isNonce(text: string, start: number, stop: number): boolean {
  const length = stop - start;
  if (length < nonceLength.least || length > nonceLength.most) return false;
  for (let i = start; i < stop; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}

/** A copy that does not keep the head alive of which the text is a slice. */
function own(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
