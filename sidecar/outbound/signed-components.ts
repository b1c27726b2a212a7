import { mostFields } from '../http1/field-lines.ts';
import { frameRequest } from '../http1/framing.ts';
import { parseRequestHead } from '../http1/head-parser.ts';
import { assemblyBuffer } from '../http1/llhttp.ts';
import { type RequestToSend, requestText } from '../http1/outgoing-message.ts';
import { findOurMember } from '../signature/our-member.ts';
import type { ComponentHash } from '../signature/signature-base.ts';
import { componentHashes } from '../signature/signature-base.ts';
import { SignatureError } from '../signature/signature-error.ts';
import { headTag } from '../signature/tags.ts';

/**
 * Short hashes of what a sent head signed, for comparison with what the callee received; undefined when it was not
 * signed. Made from the head itself, and only when the callee refused it.
 */
export function signedComponents(sent: RequestToSend): readonly ComponentHash[] | undefined {
  const text = requestText(sent);
  const end = text.length;
  if (end > assemblyBuffer.length) return undefined;
  // At the far end: the answer that is being read may lie at the start.
  const at = assemblyBuffer.length - end;
  assemblyBuffer.latin1Write(text, at);
  const head = parseRequestHead(assemblyBuffer, at, assemblyBuffer.length, mostFields);
  if ('error' in head || frameRequest(head, false) !== undefined) return undefined;
  try {
    const member = findOurMember(head.field('signature-input'), head.field('signature'), headTag);
    return member === undefined ? undefined : componentHashes(head, member.coverage, member.nonce);
  } catch (error) {
    if (error instanceof SignatureError) return undefined;
    throw error;
  }
}
