import { Command } from 'commander';
import { fromOption } from '../fleet-reader/from.ts';
import { type CallTrace, traceCall } from '../readiness/both-sides.ts';
import { explain } from '../telemetry/explain.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import { operatorKeyringOption, readFleet } from './fleet-sources.ts';
import { printable, table } from './table.ts';

interface WhyOptions {
  readonly last?: true;
  readonly from?: string[];
  readonly keyring?: string;
  readonly fleet?: string;
  readonly json?: true;
}

/** `countersign why`: one denial, explained from both sides. */
export function whyCommand(): Command {
  return new Command('why')
    .description(
      'Explain why a call was denied. Name the sidecars of both ends with --from to compare what they saw.',
    )
    .argument('[request-id]', 'X-Request-ID of the response, or request_id of the problem')
    .option('--last', 'the newest denial')
    .addOption(fromOption())
    .addOption(operatorKeyringOption())
    .option('--fleet <file>', 'with --keyring: fleet.yaml')
    .option('--json', 'print JSON')
    .action(async (id: string | undefined, options: WhyOptions) => {
      if ((id === undefined) === (options.last === undefined))
        throw new UsageError('expected a request id or --last, and not both');
      const states = await readFleet(options, ['denials']);
      const trace = traceCall(states, id);
      if (trace === undefined)
        throw new AnsweredNo(unknownCall(id, states.filter(({ denials }) => denials !== undefined).length));
      process.stdout.write(options.json ? `${JSON.stringify(trace, null, 2)}\n` : whyText(trace));
    });
}

function unknownCall(id: string | undefined, read: number): string {
  if (id === undefined) return `found no denial at the ${read} sidecars that were read`;
  return (
    `found no denial ${printable(id)} at the ${read} sidecars that were read; each keeps its newest 1,000. Name the ` +
    "callee's sidecar with --from. An answer without X-Service-Refusal and without a type that starts with " +
    "urn:countersign:problem: is the app's own, whatever its status"
  );
}

/** The trace for people: the callee's side first, since it decided. */
export function whyText({ request_id, denials, signed, compared }: CallTrace): string {
  const inbound = denials.filter(({ denial }) => denial.direction === 'inbound');
  const outbound = denials.filter(({ denial }) => denial.direction === 'outbound');
  const lines = [`call ${request_id}`, ...inbound.flatMap((each) => side("callee's side", each))];
  // The caller's own words tell less than the callee's, unless it had nothing to sign with.
  if (inbound.length === 0 || signed === undefined)
    lines.push(...outbound.flatMap((each) => side("caller's side", each)));
  if (signed !== undefined) {
    const { time, callee, method, path, kid } = signed.signed;
    lines.push('', `caller's side (${signed.from}), ${time}`);
    lines.push(`  signed ${method} ${path} for ${callee} with ${kid ?? 'no key'}`);
  }
  const shown = lines.map(printable);
  if (compared.length > 0) shown.push('', ...comparison(compared, signed !== undefined));
  return `${shown.join('\n')}\n`;
}

function side(title: string, { from, denial }: CallTrace['denials'][number]): string[] {
  const lines = explain(denial).split('\n');
  if (denial.kid !== undefined) lines.push(`key id: ${denial.kid}`);
  return ['', `${title} (${from}), ${denial.time}`, ...lines.map((line) => `  ${line}`)];
}

function comparison(compared: CallTrace['compared'], bothSides: boolean): string[] {
  const rows = compared.map(({ component, signed, received }) => [
    component,
    signed ?? '-',
    received ?? '-',
    !bothSides ? '' : signed === received ? 'same' : 'DIFFERS',
  ]);
  const text = table([['covered component', 'as signed', 'as received', ''], ...rows]);
  const differing = compared.filter(({ signed, received }) => signed !== received);
  let meaning: string;
  if (!bothSides)
    meaning = "The caller's side was not read, or no longer knows the call: name its sidecar with --from.";
  else if (differing.length > 0)
    meaning = `Changed on the way: ${differing.map(({ component }) => component).join(', ')}. Look for what stands between the two sidecars.`;
  else
    meaning =
      'Every covered value arrived as it was signed: the two ends have different keys under this key id, or the ' +
      'parameters of the signature were changed. Deliver the keyrings again (countersign keys status).';
  return [...text.split('\n').map((line) => `  ${line}`), '', printable(meaning)];
}
