import { allCommands, spelled, subcommandPaths, type CommandNode, type OptionNode } from './command-tree.ts';

/** Builds a script for bash 3.2 and later that completes commands, options and option values. */
export function bashCompletion(root: CommandNode): string {
  const nodes = allCommands(root);
  return `# Completion of readapt for bash: source <(readapt completion bash)
_readapt() {
  local at='' candidates='' word i
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  if [ "$current" = '=' ]; then current=''; elif [ "$previous" = '=' ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${subcommandPaths(root).map(quote).join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $previous" in
${nodes.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${nodes.map(wordsCase).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -o default -F _readapt readapt
`;
}

function valueCases(node: CommandNode): string[] {
  return node.options.filter(({ takesValue }) => takesValue).map((option) => valueCase(node, option));
}

function valueCase(node: CommandNode, { names, completed, choices }: OptionNode): string {
  const pattern = names.map((name) => quote(`${spelled(node)} ${name}`)).join(' | ');
  const reply = {
    nothing: 'COMPREPLY=()',
    choices: `COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$current"))`,
    files: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current"))',
    folders: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current"))',
  }[completed];
  return `    ${pattern}) ${reply}; return ;;`;
}

/**
 * Builds the `case` branch that completes one command. Options are offered once a dash is typed. Without a dash, they
 * are offered only if the command has no subcommands, choices or files to offer.
 */
function wordsCase(node: CommandNode): string {
  const words = [...node.children.map(({ name }) => name), ...node.choices];
  const options = node.options.flatMap(({ names }) => names.filter((name) => name.startsWith('--')));
  const offered = words.length > 0 ? words : node.takesFiles ? [] : options;
  return (
    `    '${spelled(node)}') case "$current" in -*) candidates='${options.join(' ')}' ;; *) ` +
    `candidates='${offered.join(' ')}' ;; esac ;;`
  );
}

function quote(text: string): string {
  return `'${text}'`;
}
