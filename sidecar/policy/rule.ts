import { readPath } from './paths.ts';

/** One line of the matrix: methods and a path pattern. */
export interface Rule {
  /** As it stands in the file: `GET,HEAD /api/status/*`. */
  readonly text: string;
  /** Who may make the call: a service, or everybody without a signature. */
  readonly caller: string | undefined;
  /** How verdicts and denials name it: `main-backend: GET /api/status/*`, `public: GET /api/health`. */
  readonly label: string;
  readonly methods: readonly string[] | '*';
  /** What stands between the slashes; a last `**` is `tail` instead. */
  readonly segments: readonly string[];
  /** Whether the pattern ends in `**`: zero or more further segments. */
  readonly tail: boolean;
}

/** The rule in a label, without whom it is for: `GET /api/status/*`. */
export function textOfLabel(label: string): string {
  return label.slice(label.indexOf(': ') + 2);
}

/** A rule that cannot be: what was found in it, what was expected. */
export interface RuleFault {
  readonly found: string;
  readonly expected: string;
}

const method = /^[A-Z]+(?:-[A-Z]+)*$/;

/** Reads one rule of the matrix: `METHOD[,METHOD…] /path`, `* /path`. */
export function parseRule(text: string, caller?: string): Rule | RuleFault {
  const quoted = JSON.stringify(text);
  const parts = text.split(' ');
  const [list, path] = parts;
  if (parts.length !== 2 || list === undefined || path === undefined || !path.startsWith('/')) {
    const comma = method.test(text) ? '; in a flow list quote several methods: "GET,HEAD /x"' : '';
    return { found: quoted, expected: `METHOD, one space and a path, such as GET /api/status/*${comma}` };
  }
  const methods = list === '*' ? '*' : list.split(',');
  if (methods !== '*') {
    for (const name of methods) {
      if (!method.test(name))
        return {
          found: `the method ${JSON.stringify(name)} in ${quoted}`,
          expected: 'methods in capitals, or * for any',
        };
      if (name === 'CONNECT' || name === 'TRACE')
        return {
          found: quoted,
          expected: `no ${name}: every sidecar refuses it, so the rule would never match`,
        };
    }
    if (new Set(methods).size < methods.length) return { found: quoted, expected: 'each method once' };
  }
  const fault = pathFault(path, quoted);
  if (fault !== undefined) return fault;
  const segments = path.slice(1).split('/');
  const tail = segments.at(-1) === '**';
  return {
    text,
    caller,
    label: `${caller ?? 'public'}: ${text}`,
    methods,
    segments: tail ? segments.slice(0, -1) : segments,
    tail,
  };
}

function pathFault(path: string, quoted: string): RuleFault | undefined {
  if (/[?#]/.test(path))
    return { found: quoted, expected: 'a path without query or fragment: rules do not see them' };
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '**' && index < segments.length - 1)
      return { found: quoted, expected: '** as the last segment only' };
    if (segment.includes('*') && segment !== '*' && segment !== '**')
      return { found: quoted, expected: '* or ** as a whole segment, not as a part of one' };
  }
  const reading = readPath(path);
  if (reading.ambiguous)
    return {
      found: `${reading.found} in ${quoted}`,
      expected: 'a path that some call can have: such calls are always refused',
    };
  return undefined;
}
