import { Matcher } from './matcher.ts';
import { parseRule, type Rule } from './rule.ts';

/** The rules of one service as text. */
export interface RuleTexts {
  readonly public: readonly string[];
  readonly callers: Readonly<Record<string, readonly string[]>>;
}

/** Who may call one service, and how. */
export interface ServiceRules {
  readonly service: string;
  readonly public: Matcher;
  readonly callers: ReadonlyMap<string, Matcher>;
}

/** A rule that cannot stand, by its path of keys. */
export interface MatrixFault {
  readonly path: readonly (string | number)[];
  readonly found: string;
  readonly expected: string;
  /** The path of the rule that makes this one useless. */
  readonly because?: readonly (string | number)[];
}

/** Compiled rules: who may call what. */
export class Matrix {
  readonly services: ReadonlyMap<string, ServiceRules>;
  /** SHA-256 of the file, hex: what `/status` shows and the gate file pins. */
  readonly hash: string;

  constructor(services: ReadonlyMap<string, ServiceRules>, hash: string) {
    this.services = services;
    this.hash = hash;
  }

  /** The rules of a service; one that the file does not name allows nothing. */
  of(service: string): ServiceRules {
    return this.services.get(service) ?? { service, public: new Matcher([]), callers: new Map() };
  }
}

/** Compiles the rules of all services; what is wrong with them goes to `report`. */
export function compileRules(
  services: Readonly<Record<string, RuleTexts>>,
  report: (fault: MatrixFault) => void,
): Map<string, ServiceRules> {
  const compiled = new Map<string, ServiceRules>();
  for (const [service, { public: open, callers }] of Object.entries(services)) {
    const path = ['services', service];
    const byCaller = Object.entries(callers).map(
      ([caller, texts]) =>
        [caller, compileList(texts, [...path, 'callers', caller], caller, report)] as const,
    );
    compiled.set(service, {
      service,
      public: compileList(open, [...path, 'public'], undefined, report),
      callers: new Map(byCaller),
    });
  }
  return compiled;
}

function compileList(
  texts: readonly string[],
  path: readonly string[],
  caller: string | undefined,
  report: (fault: MatrixFault) => void,
): Matcher {
  const rules: Rule[] = [];
  const index = new Map<Rule, number>();
  for (const [i, text] of texts.entries()) {
    const rule = parseRule(text, caller);
    if ('found' in rule) report({ path: [...path, i], ...rule });
    else {
      rules.push(rule);
      index.set(rule, i);
    }
  }
  return new Matcher(rules, (rule, by) => {
    const verb = rule.text === by.text ? 'repeats' : 'is wholly covered by';
    report({
      path: [...path, index.get(rule) as number],
      found: `${JSON.stringify(rule.text)}, which ${verb} ${JSON.stringify(by.text)}`,
      expected: 'each permission once',
      because: [...path, index.get(by) as number],
    });
  });
}
