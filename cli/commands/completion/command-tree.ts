import type { Command, Option } from 'commander';

/** What the value of an option, or an argument, is completed with. */
export type Completed = 'nothing' | 'choices' | 'files' | 'folders';

export interface OptionNode {
  /** As it is typed: `-h`, `--help`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly completed: Completed;
  readonly choices: readonly string[];
}

/** A command with what may stand behind it, as shells complete it. */
export interface CommandNode {
  /** The words that lead to it, without the program's name: `['rollout', 'create']`. */
  readonly path: readonly string[];
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionNode[];
  readonly children: readonly CommandNode[];
  /** What its first argument may be, if it is one of a few. */
  readonly choices: readonly string[];
  /** Whether an argument is a file or a folder. */
  readonly takesFiles: boolean;
}

/** Reads the tree of commands, the same one from which `--help` is made. */
export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  const children = help.visibleCommands(command).map((child) => commandTree(child, [...path, child.name()]));
  const [first] = command.registeredArguments;
  return {
    path,
    name: command.name(),
    description: firstSentence(command.description()),
    options: help.visibleOptions(command).map(optionNode),
    children,
    choices: first?.argChoices ?? [],
    takesFiles: command.registeredArguments.some((argument) => /^(file|folder)/.test(argument.name())),
  };
}

/** A command and all below it, in the order of `--help`. */
export function allCommands(node: CommandNode): readonly CommandNode[] {
  return [node, ...node.children.flatMap(allCommands)];
}

/** How scripts write the path of a command: each word behind a space. The program itself is the empty text. */
export function spelled({ path }: CommandNode): string {
  return path.map((word) => ` ${word}`).join('');
}

function optionNode(option: Option): OptionNode {
  const choices = option.argChoices ?? [];
  const [, placeholder = ''] = /[<[]([\w-]+)/.exec(option.flags) ?? [];
  const completed =
    choices.length > 0
      ? 'choices'
      : placeholder === 'folder'
        ? 'folders'
        : placeholder === 'file'
          ? 'files'
          : 'nothing';
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: firstSentence(option.description),
    takesValue: option.required || option.optional,
    completed,
    choices,
  };
}

const LONGEST = 100;

/** Shells show a line for each option. */
function firstSentence(text: string): string {
  const [sentence = ''] = text.replace(/\s+/g, ' ').split(/(?<=[.;:]) /);
  const short = sentence.replace(/[.;:]$/, '');
  return short.length <= LONGEST ? short : `${short.slice(0, LONGEST - 1)}…`;
}
