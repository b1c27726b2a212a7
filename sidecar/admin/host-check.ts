import { isLoopback } from '../../config/address.ts';

const form = /^(?:(\[::1\])|([0-9a-z.-]+))(?::(\d{1,5}))?$/i;

/**
 * Whether a Host field names this machine's loopback. A web page that had its own name resolved to 127.0.0.1 (DNS
 * rebinding) sends that name, and is refused.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  const [, v6, name = '', port = '0'] = form.exec(host ?? '') ?? [];
  return Number(port) <= 65535 && (v6 !== undefined || isLoopback(name.toLowerCase()));
}
