import { stringValue } from './serialize.ts';
import { SignatureError } from './signature-error.ts';
import type { InnerList, Member, Parameter } from './structured-fields.ts';
import { algorithm, headTag, nonceLength } from './tags.ts';

/** The parameters of a signature (RFC 9421 §2.3), as far as the wire format knows them. */
export interface SignatureParams {
  readonly keyid: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly nonce: string | undefined;
}

/** The tag of a member of Signature-Input, if it has one; whatever its type, so that nothing hides behind it. */
export function tagOf(member: Member): string | undefined {
  for (const param of member.params) if (param.key === 'tag') return tagValue(param);
  return undefined;
}

const tagValue = ({ type, text }: Parameter) => (type === 'string' ? stringValue(text) : text);

const wrong = (message: string): never => {
  throw new SignatureError('malformed-signature', message);
};

const typed = (param: Parameter, type: 'integer' | 'string') =>
  param.type === type
    ? param.text
    : wrong(
        `the parameter ${param.key} is ${show(param.text)}; expected ${type === 'integer' ? 'an integer' : 'a string'}`,
      );

/** A piece of a message as an error or a log may show it: quoted, and not too long. */
export function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/**
 * Reads the parameters of our member.
 *
 * @throws {SignatureError} malformed-signature
 */
export function readParams(member: InnerList, tag: string): SignatureParams {
  let keyid: string | undefined;
  let created: number | undefined;
  let expires: number | undefined;
  let nonce: string | undefined;
  for (const param of member.params) {
    switch (param.key) {
      case 'created':
        created = Number(typed(param, 'integer'));
        break;
      case 'expires':
        expires = Number(typed(param, 'integer'));
        break;
      case 'keyid':
        keyid = stringValue(typed(param, 'string'));
        break;
      case 'nonce':
        nonce = stringValue(typed(param, 'string'));
        break;
      case 'tag':
        typed(param, 'string');
        break;
      case 'alg':
        if (stringValue(typed(param, 'string')) !== algorithm)
          wrong(`alg is ${show(param.text)}; expected "${algorithm}" or none at all`);
        break;
    }
  }
  if (keyid === undefined)
    return wrong('the parameter keyid is missing; expected the key id of the pair key');
  if (tag === headTag) {
    if (created === undefined) return wrong('the parameter created is missing; expected the time of signing');
    if (nonce === undefined) return wrong('the parameter nonce is missing; expected 16 to 128 characters');
    if (nonce.length < nonceLength.least || nonce.length > nonceLength.most)
      return wrong(`the nonce has ${nonce.length} characters; expected 16 to 128`);
  }
  return { keyid, created: created ?? 0, expires, nonce };
}
