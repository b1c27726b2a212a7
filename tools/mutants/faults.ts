import { stripTypeScriptTypes } from 'node:module';
import { type Node, parse } from 'acorn';
import { ancestor } from 'acorn-walk';

/** A small fault: a stretch of a source and what stands there instead. */
export interface Fault {
  /** Which operator made it. */
  readonly kind: 'comparison' | 'logic' | 'condition' | 'arithmetic' | 'number' | 'boolean' | 'statement';
  /** Offsets in UTF-16 units, end exclusive. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** From 1. */
  readonly line: number;
}

type Anything = Node & Record<string, unknown>;

const comparisons: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
};
const arithmetic: Readonly<Record<string, string>> = { '-': '+', '*': '+', '%': '*', '>>>': '<<', '&': '|' };
const logic: Readonly<Record<string, string>> = { '&&': '||', '||': '&&', '??': '&&' };
/** Statements that can be left out without leaving the program unable to run at all. */
const removable = new Set(['CallExpression', 'AwaitExpression', 'AssignmentExpression', 'UpdateExpression']);

/**
 * Every fault that the operators make of a TypeScript source. Types are blanked out first, so offsets are those of the source.
 *
 * @throws {SyntaxError} when the source does not parse
 */
export function faultsIn(source: string): Fault[] {
  const faults: Fault[] = [];
  const add = (kind: Fault['kind'], start: number, end: number, replacement: string) => {
    faults.push({ kind, start, end, replacement, line: source.slice(0, start).split('\n').length });
  };
  const operatorAt = (left: Anything, right: Anything, operator: string) =>
    source.indexOf(operator, Math.max(left.end, source.lastIndexOf(operator, right.start - 1)));
  const program = parse(stripTypeScriptTypes(source), { ecmaVersion: 'latest', sourceType: 'module' });
  ancestor(program, {
    BinaryExpression(node) {
      const { left, right, operator } = node as unknown as {
        left: Anything;
        right: Anything;
        operator: string;
      };
      const other = comparisons[operator] ?? arithmetic[operator];
      const at = operatorAt(left, right, operator);
      if (other !== undefined && at >= 0)
        add(operator in comparisons ? 'comparison' : 'arithmetic', at, at + operator.length, other);
    },
    LogicalExpression(node) {
      const { left, right, operator } = node as unknown as {
        left: Anything;
        right: Anything;
        operator: string;
      };
      const at = operatorAt(left, right, operator);
      const other = logic[operator];
      if (other !== undefined && at >= 0) add('logic', at, at + operator.length, other);
    },
    IfStatement(node) {
      const { test } = node as unknown as { test: Node };
      for (const value of ['true', 'false']) add('condition', test.start, test.end, value);
    },
    ConditionalExpression(node) {
      const { test } = node as unknown as { test: Node };
      for (const value of ['true', 'false']) add('condition', test.start, test.end, value);
    },
    UnaryExpression(node) {
      const { operator, argument } = node as unknown as { operator: string; argument: Node };
      if (operator === '!') add('condition', node.start, argument.start, '');
    },
    Literal(node) {
      const { value } = node as unknown as { value: unknown };
      if (typeof value === 'boolean') add('boolean', node.start, node.end, String(!value));
      if (typeof value === 'number') add('number', node.start, node.end, String(value + 1));
    },
    ExpressionStatement(node, _state, ancestors) {
      const { expression } = node as unknown as { expression: Node };
      const parent = ancestors.at(-2) as Node | undefined;
      // Only where a statement may be missing altogether.
      const inBlock = parent?.type === 'BlockStatement' || parent?.type === 'Program';
      if (removable.has(expression.type) && inBlock) add('statement', node.start, node.end, ';');
    },
  });
  return faults.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** Whether a TypeScript source is a program at all: `a ?? b && c`, for one, is none. */
export function parses(source: string): boolean {
  try {
    parse(stripTypeScriptTypes(source), { ecmaVersion: 'latest', sourceType: 'module' });
    return true;
  } catch {
    return false;
  }
}

/** The source with the fault in it. */
export function withFault(source: string, { start, end, replacement }: Fault): string {
  // A space keeps `return!x` and the like two words.
  return `${source.slice(0, start)}${replacement === '' ? ' ' : replacement}${source.slice(end)}`;
}
