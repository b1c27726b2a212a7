import type { Command, Option } from 'commander';

/** One command of a command line with all that completion and manual pages tell of it. */
export interface CommandNode {
  /** From the outermost command on, such as `['countersign', 'keys', 'rotate']`. */
  readonly words: readonly string[];
  readonly description: string;
  readonly usage: string;
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
}

export interface OptionNode {
  /** `--from`; there is always a long name. */
  readonly name: string;
  /** As the help shows it: `--from <url|file|folder>`. */
  readonly flags: string;
  readonly description: string;
  readonly choices: readonly string[];
  /** Something has to follow it. */
  readonly takesValue: boolean;
}

/** The tree below a command; hidden options and the built-in `help` are left out. */
export function commandTree(command: Command, above: readonly string[] = []): CommandNode {
  const words = [...above, command.name()];
  const help = command.createHelp();
  return {
    words,
    description: command.description(),
    usage: command.usage(),
    options: help.visibleOptions(command).flatMap(optionNode),
    commands: command.commands.map((child) => commandTree(child, words)),
  };
}

function optionNode(option: Option): OptionNode[] {
  if (option.long === undefined || option.long === null) return [];
  return [
    {
      name: option.long,
      flags: option.flags,
      description: option.description,
      choices: option.argChoices ?? [],
      takesValue: option.required || option.optional,
    },
  ];
}

/** Every command of a tree, the outermost first. */
export function everyCommand(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(everyCommand)];
}
