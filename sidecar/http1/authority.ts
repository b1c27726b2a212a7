import { Remembered } from './remembered.ts';

const form = /^(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;
const remembered = new Remembered<string>(1000);

/**
 * The `@authority` of a Host value: lower case, the default port dropped; undefined when it is not one host with an
 * optional port. A comma is refused although a reg-name may hold one: it is how a list of hosts looks.
 *
 * @see RFC 9421 §2.2.3; RFC 9110 §4.2.3, §7.2
 */
export function authorityOf(host: string): string | undefined {
  const known = remembered.get(host);
  if (known !== undefined) return known;
  const match = form.exec(host);
  if (match === null || Number(match[1] ?? 0) > 65535) return undefined;
  const lower = host.toLowerCase();
  const authority = match[1] === undefined ? lower : lower.replace(/:(?:80)?$/, '');
  remembered.set(host, authority);
  return authority;
}
