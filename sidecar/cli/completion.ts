import { Argument, Command } from 'commander';
import { type CommandNode, commandTree, everyCommand } from './command-tree.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** `countersign completion SHELL`: what a shell needs to complete commands and options. */
export function completionCommand(): Command {
  const completion: Command = new Command('completion')
    .description('Print the completion script of a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      'after',
      `
Examples:
  countersign completion bash > /etc/bash_completion.d/countersign
  countersign completion zsh > "\${fpath[1]}/_countersign"
  countersign completion fish > ~/.config/fish/completions/countersign.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, commandTree(outermost(completion))));
    });
  return completion;
}

function outermost(command: Command): Command {
  return command.parent === null ? command : outermost(command.parent);
}

/** The completion script of a shell for a whole command line. */
export function completionScript(shell: Shell, tree: CommandNode): string {
  return { bash, zsh, fish }[shell](tree);
}

/** The words that can follow a command: its subcommands and its options. */
function following({ commands, options }: CommandNode): string[] {
  return [
    ...commands.map(({ words }) => words.at(-1) as string),
    ...options.map(({ name }) => name),
    '--help',
  ];
}

function bash(tree: CommandNode): string {
  const program = tree.words[0] as string;
  const cases = everyCommand(tree).map(
    (node) => `    '${node.words.join(' ')}') words='${following(node).join(' ')}' ;;`,
  );
  const choices = everyCommand(tree)
    .flatMap(({ options }) => options)
    .filter((option) => option.choices.length > 0)
    .map(
      ({ name, choices }) =>
        `    ${name}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$word")); return ;;`,
    );
  return `# bash completion for ${program}
_${program}() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} path=${program} words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$path \${COMP_WORDS[index]}" in
${everyCommand(tree)
  .slice(1)
  .map(({ words }) => `      '${words.join(' ')}') path='${words.join(' ')}' ;;`)
  .join('\n')}
    esac
  done
  case $previous in
${[...new Set(choices)].join('\n')}
    *) ;;
  esac
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _${program} ${program}
`;
}

function zsh(tree: CommandNode): string {
  const program = tree.words[0] as string;
  return `#compdef ${program}
# zsh completion for ${program}: runs the one for bash.
autoload -U +X bashcompinit && bashcompinit
${bash(tree)}`;
}

function fish(tree: CommandNode): string {
  const program = tree.words[0] as string;
  const quoted = (text: string) => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
  const lines = everyCommand(tree).flatMap(({ words, commands, options }) => {
    const names = commands.map((child) => child.words.at(-1) as string);
    const seen = words.slice(1).map((word) => `__fish_seen_subcommand_from ${word}`);
    const none = names.length === 0 ? [] : [`not __fish_seen_subcommand_from ${names.join(' ')}`];
    const condition = [...seen, ...none].join('; and ') || 'true';
    return [
      ...commands.map(
        (child) =>
          `complete -c ${program} -f -n ${quoted(condition)} -a ${child.words.at(-1)} -d ${quoted(child.description)}`,
      ),
      ...options.map(({ name, description, choices, takesValue }) => {
        const values = choices.length > 0 ? ` -a ${quoted(choices.join(' '))}` : '';
        const needed = takesValue ? ' -r' : '';
        return `complete -c ${program} -n ${quoted(seen.join('; and ') || 'true')} -l ${name.slice(2)}${needed}${values} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# fish completion for ${program}\n${lines.join('\n')}\n`;
}
