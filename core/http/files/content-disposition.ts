/** Characters that stand for themselves in an ext-value (RFC 8187 §3.2.1). */
const needsEncoding = /[^A-Za-z0-9!#$&+.^_`|~-]/g;

/**
 * A Content-Disposition that makes browsers save, never show. The name is given twice: in ASCII for old clients and, when that
 * is not all of it, exactly in UTF-8.
 *
 * @see RFC 6266 §4.3, RFC 8187 §3.2
 */
export function attachment(filename: string): string {
  const name = filename.toWellFormed();
  // A percent sign would be decoded by some clients, so it counts as not expressible (RFC 6266 appendix D).
  const ascii = name.replace(/[^ -~]|[%"\\]/gu, '_');
  const plain = `attachment; filename="${ascii}"`;
  return ascii === name ? plain : `${plain}; filename*=UTF-8''${encodeExtValue(name)}`;
}

function encodeExtValue(text: string): string {
  return encodeURIComponent(text).replace(/%[0-9A-F]{2}|./g, (part) =>
    part.length === 3
      ? part
      : part.replace(needsEncoding, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  );
}
