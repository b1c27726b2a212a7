import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as z from 'zod';
import { coreConfigSchema } from '../core/config/core-config.ts';
import { llmModelsSchema } from '../core/config/llm-models.ts';
import { authorizationSchema } from '../sidecar/config/authorization.ts';
import { fleetSchema } from '../sidecar/config/fleet.ts';
import { sidecarConfigSchema } from '../sidecar/config/sidecar-config.ts';
import { guardConfigSchema } from '../sidecar/guard/guard-config.ts';
import { root } from './build.ts';

type Schema = z.core.$ZodType;

/** A configuration file and what stands above its table. */
interface Page {
  readonly name: string;
  readonly about: string;
  readonly schema: Schema;
}

export const pages: readonly Page[] = [
  {
    name: 'sidecar.yaml',
    about: "One VM's sidecar. Both binaries read it; nothing in it says what happens to a denied call.",
    schema: sidecarConfigSchema,
  },
  { name: 'fleet.yaml', about: 'Who is where. The same file on every VM.', schema: fleetSchema },
  {
    name: 'authorization.yaml',
    about: 'Who may call what. What no rule allows is denied. [matrix.md](../matrix.md) explains the rules.',
    schema: authorizationSchema,
  },
  { name: 'core.yaml', about: 'The core service.', schema: coreConfigSchema },
  { name: 'llm_models.yaml', about: 'What each model can take.', schema: llmModelsSchema },
  {
    name: 'guard.yaml',
    about: 'What watches a host after the swap to enforcing. [guard.md](../guard.md) explains it.',
    schema: guardConfigSchema,
  },
];

/** One key of a file. */
interface Key {
  readonly path: string;
  readonly kind: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** Everything that stands around a schema: what it is inside, and what its wrappers say. */
interface Unwrapped {
  readonly inner: z.core.$ZodTypes;
  readonly description: string | undefined;
  readonly kind: string | undefined;
  readonly isOptional: boolean;
  readonly fallback: unknown;
}

function unwrap(schema: Schema): Unwrapped {
  let at = schema as z.core.$ZodTypes & { meta?(): Record<string, unknown> | undefined };
  let description: string | undefined;
  let kind: string | undefined;
  let isOptional = false;
  let fallback: unknown;
  for (;;) {
    const meta = at.meta?.() ?? {};
    description ??= meta.description as string | undefined;
    kind ??= meta.kind as string | undefined;
    const { def } = at._zod;
    if (def.type === 'optional') isOptional = true;
    if (def.type === 'default' || def.type === 'prefault') fallback ??= def.defaultValue;
    if ('innerType' in def) at = def.innerType as typeof at;
    else if (def.type === 'pipe') at = def.in as typeof at;
    else return { inner: at, description, kind, isOptional, fallback };
  }
}

/** Every key that a file may have, in its order; a section comes before its keys. */
export function keysOf(schema: Schema, path = ''): Key[] {
  const { inner } = unwrap(schema);
  const { def } = inner._zod;
  if (def.type === 'object')
    return Object.entries(def.shape).flatMap(([name, child]) =>
      keyAndBelow(child as Schema, `${path}${name}`),
    );
  if (def.type === 'record') return keyAndBelow(def.valueType as Schema, `${path}NAME`);
  return [];
}

function keyAndBelow(schema: Schema, path: string): Key[] {
  const { inner, description, kind, isOptional, fallback } = unwrap(schema);
  const below = keysOf(schema, `${path}.`);
  const isSection = below.length > 0;
  // An entry of a mapping whose keys are told below says nothing of its own.
  if (isSection && description === undefined && path.endsWith('NAME')) return below;
  const key = {
    path,
    kind: isSection ? 'section' : (kind ?? kindOf(inner)),
    fallback: isSection
      ? isOptional
        ? 'left out'
        : ''
      : fallback !== undefined
        ? shown(fallback, kind)
        : isOptional
          ? 'none'
          : '**required**',
    meaning: description ?? '',
  };
  return [key, ...below];
}

function kindOf(inner: z.core.$ZodTypes): string {
  const { def } = inner._zod;
  switch (def.type) {
    case 'array':
      return `list of ${unwrap(def.element as Schema).kind ?? kindOf(unwrap(def.element as Schema).inner)}`;
    case 'record':
      return 'mapping';
    case 'string':
      return 'text';
    case 'number':
      return 'number';
    case 'boolean':
      return 'true or false';
    default:
      return def.type;
  }
}

/** A default as one would write it in the file. */
function shown(value: unknown, kind: string | undefined): string {
  if (kind === 'duration' && typeof value === 'number') return `\`${inUnits(value, msPerUnit)}\``;
  if (kind === 'size' && typeof value === 'number') return `\`${inUnits(value, bytesPerUnit)}\``;
  if (typeof value === 'string' || typeof value === 'number') return `\`${value}\``;
  return `\`${JSON.stringify(value)}\``;
}

const msPerUnit = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;
const bytesPerUnit = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['B', 1],
] as const;

function inUnits(value: number, units: readonly (readonly [string, number])[]): string {
  const [unit, size] = units.find(([, each]) => value >= each && value % each === 0) ?? ['', 1];
  return `${value / size}${unit}`;
}

/** The reference page of one file. */
export function pageText({ name, about, schema }: Page): string {
  const rows = keysOf(schema).map(({ path, kind, fallback, meaning }) => [
    `\`${path}\``,
    kind,
    fallback,
    meaning.replace(/\|/g, '\\|'),
  ]);
  return `# ${name}

${about} [config/${exampleOf(name)}](../../config/${exampleOf(name)}) is an example.

Sizes are an integer with B, KiB, MiB or GiB, durations one with ms, s, m or h. Paths are relative to the file. Unknown keys are errors.
This page is made from the schema that \`countersign check\`, start and reload use (\`node tools/reference.ts\`).

${alignedTable([['key', 'kind', 'default', 'meaning'], ...rows])}
`;
}

/** A Markdown table as the formatter writes it; the first row is its head. */
function alignedTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}

/** Where the example of a file lies, below config/. */
export function exampleOf(name: string): string {
  return ['fleet.yaml', 'authorization.yaml', 'llm_models.yaml'].includes(name) ? name : `examples/${name}`;
}

export const referenceFolder = join(root, 'docs/reference');

if (import.meta.main) {
  await mkdir(referenceFolder, { recursive: true });
  for (const page of pages)
    await writeFile(join(referenceFolder, page.name.replace('.yaml', '.md')), pageText(page));
}
