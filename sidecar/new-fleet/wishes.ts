import { hostAddress, port, serviceName } from '../../config/units.ts';
import { parseRule } from '../policy/rule.ts';
import { UsageError } from '../terms/exit-codes.ts';

/** One `NAME=HOST:PORT`: a service, one of its hosts, and its own port there. */
export interface ServiceWish {
  readonly name: string;
  readonly host: string;
  readonly app: number;
}

/** One `NAME=HOST`: a service that only calls others, or a further host of a service. */
export interface HostWish {
  readonly name: string;
  readonly host: string;
}

/** A rule of the matrix; without a caller it is public. */
export interface RuleWish {
  readonly callee: string;
  readonly caller: string | undefined;
  /** `METHOD /path`. */
  readonly rule: string;
}

/** @throws {UsageError} */
export function parseServiceWish(text: string, option = '--service'): ServiceWish {
  const expected = 'NAME=HOST:PORT such as orders=10.0.0.2:3000, or NAME=[IPv6]:PORT';
  const [, name, bracketed, plain, digits] =
    /^([^=]*)=(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? wrong(option, text, expected);
  const app = Number(digits);
  if (!port.safeParse(app).success) wrong(option, text, 'a port from 1 to 65535');
  return { ...named(option, text, name as string, (bracketed ?? plain) as string), app };
}

/** @throws {UsageError} */
export function parseHostWish(text: string, option: string): HostWish {
  const [, name, bracketed, plain] =
    /^([^=]*)=(?:\[([^\]]*)\]|([^[\]]*))$/.exec(text) ??
    wrong(option, text, 'NAME=HOST such as orders=10.0.0.2');
  return named(option, text, name as string, (bracketed ?? plain) as string);
}

/** Reads `CALLER METHOD CALLEE /path`. @throws {UsageError} */
export function parseAllowWish(text: string, option = '--allow'): RuleWish {
  const [caller, methods, callee, path, ...further] = text.trim().split(/ +/);
  if (path === undefined || further.length > 0)
    return wrong(option, text, '"CALLER METHOD CALLEE /path", such as "orders POST billing /invoices"');
  return ruleWish(option, text, caller, callee as string, `${methods} ${path}`);
}

/** Reads `CALLEE METHOD /path`. @throws {UsageError} */
export function parsePublicWish(text: string, option = '--public'): RuleWish {
  const [callee, methods, path, ...further] = text.trim().split(/ +/);
  if (path === undefined || further.length > 0)
    return wrong(option, text, '"CALLEE METHOD /path", such as "billing GET /health"');
  return ruleWish(option, text, undefined, callee as string, `${methods} ${path}`);
}

function ruleWish(
  option: string,
  text: string,
  caller: string | undefined,
  callee: string,
  rule: string,
): RuleWish {
  for (const name of [caller, callee])
    if (name !== undefined && !serviceName.safeParse(name).success)
      wrong(option, text, `a service name in place of ${JSON.stringify(name)}`);
  const parsed = parseRule(rule, caller);
  if ('expected' in parsed) wrong(option, text, parsed.expected);
  return { caller, callee, rule };
}

function named(option: string, text: string, name: string, host: string): HostWish {
  if (!serviceName.safeParse(name).success)
    wrong(option, text, 'a service name before the =: 1 to 63 lower-case letters, digits and inner hyphens');
  if (!hostAddress.safeParse(host).success)
    wrong(option, text, 'an IP address such as 10.0.0.2 after the =: sidecars look up no names');
  return { name, host };
}

function wrong(option: string, text: string, expected: string): never {
  throw new UsageError(`${option}: found ${JSON.stringify(text)}, expected ${expected}`);
}
