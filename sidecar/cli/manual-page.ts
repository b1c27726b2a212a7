import type { CommandNode } from './command-tree.ts';

/** roff takes a backslash, and a dot or a quote at the start of a line, for its own. */
function roff(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

/**
 * The manual page of one command, in the man(7) language.
 *
 * @param version stands in the footer
 */
export function manualPage(node: CommandNode, version: string): string {
  const name = node.words.join('-');
  const lines = [
    `.TH ${name.toUpperCase().replace(/-/g, '\\-')} 1 "" "Countersign ${version}" "Countersign Manual"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(node.description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `.B ${roff(node.words.join(' '))}`,
    roff(node.usage),
    '.SH DESCRIPTION',
    roff(node.description),
  ];
  if (node.options.length > 0) {
    lines.push('.SH OPTIONS');
    for (const { flags, description } of node.options)
      lines.push('.TP', `.B ${roff(flags)}`, roff(description));
  }
  if (node.commands.length > 0) {
    lines.push('.SH COMMANDS');
    for (const { words, description } of node.commands)
      lines.push('.TP', `.BR ${roff(words.join('-'))} (1)`, roff(description));
  }
  lines.push(
    '.SH EXIT STATUS',
    ...[
      ['0', 'yes, or done'],
      ['1', 'answered no: denied, not ready, invalid, not delivered'],
      ['64', 'wrong usage'],
      ['70', 'an internal error'],
      ['78', 'bad configuration'],
    ].flatMap(([code, meaning]) => ['.TP', `.B ${code}`, meaning as string]),
  );
  if (node.words.length > 1) lines.push('.SH SEE ALSO', `.BR ${roff(node.words.slice(0, -1).join('-'))} (1)`);
  return `${lines.join('\n')}\n`;
}
