import { createHash } from 'node:crypto';
import * as z from 'zod';
import { ConfigError, check, type Problem, readYaml, type Source } from '../../config/load.ts';
import { serviceName } from '../../config/units.ts';
import type { Fleet } from '../config/fleet.ts';
import { Matcher } from './matcher.ts';
import { parseRule, type Rule } from './rule.ts';

const ruleList = z.array(
  z.string({ error: 'a rule such as "GET /api/status/*"; quote one that starts with *' }),
  {
    error: 'a list of rules such as [ GET /api/status/* ]',
  },
);

/** authorization.yaml: per callee, what needs no signature and what each caller may do. */
export const matrixSchema = z.strictObject({
  services: z.record(
    serviceName,
    z.strictObject({
      public: ruleList.default([]),
      callers: z.record(serviceName, ruleList).default({}),
    }),
  ),
});

/** Who may call one service, and how. */
export interface ServiceRules {
  readonly service: string;
  readonly public: Matcher;
  readonly callers: ReadonlyMap<string, Matcher>;
}

/** Problems past this many are not worth their search for line numbers. */
const mostProblems = 100;

/** A compiled snapshot of authorization.yaml. */
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

/**
 * Reads and compiles authorization.yaml.
 *
 * @param fleet services that are not in it are errors
 * @throws {ConfigError} also for duplicate rules and for rules that an earlier one of the same caller covers
 */
export async function loadMatrix(file: string, fleet?: Fleet): Promise<Matrix> {
  return compileMatrix(await readYaml(file), fleet);
}

/** Compiles a parsed authorization.yaml. @throws {ConfigError} every problem at once */
export function compileMatrix(source: Source, fleet?: Fleet): Matrix {
  const data = check(source, matrixSchema);
  const problems: Problem[] = [];
  const report = (
    path: readonly (string | number)[],
    of: 'key' | 'value',
    found: string,
    expected: string,
  ) => {
    if (problems.length >= mostProblems) return;
    problems.push({ file: source.file, ...source.place(path, of), path: path.join('.'), found, expected });
  };
  const known = (name: string, path: readonly string[]) => {
    if (fleet === undefined || fleet.services.has(name)) return;
    const names = [...fleet.services.keys()].join(', ');
    report(path, 'key', `the unknown service "${name}"`, `one that fleet.yaml names: ${names}`);
  };
  const compile = (texts: readonly string[], path: readonly string[], caller?: string) => {
    const rules: Rule[] = [];
    const index = new Map<Rule, number>();
    for (const [i, text] of texts.entries()) {
      const rule = parseRule(text, caller);
      if ('found' in rule) report([...path, i], 'value', rule.found, rule.expected);
      else {
        rules.push(rule);
        index.set(rule, i);
      }
    }
    return new Matcher(rules, (rule, by) => {
      const at = source.place([...path, index.get(by) as number]);
      const verb = rule.text === by.text ? 'repeats' : 'is wholly covered by';
      const found = `${JSON.stringify(rule.text)}, which ${verb} ${JSON.stringify(by.text)} (line ${at.line})`;
      report([...path, index.get(rule) as number], 'value', found, 'each permission once');
    });
  };
  const services = new Map<string, ServiceRules>();
  for (const [service, { public: open, callers }] of Object.entries(data.services)) {
    const path = ['services', service];
    known(service, path);
    const compiled = new Map<string, Matcher>();
    for (const [caller, texts] of Object.entries(callers)) {
      known(caller, [...path, 'callers', caller]);
      compiled.set(caller, compile(texts, [...path, 'callers', caller], caller));
    }
    services.set(service, { service, public: compile(open, [...path, 'public']), callers: compiled });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return new Matrix(services, createHash('sha256').update(source.text).digest('hex'));
}
