import { allCommands, spelled, subcommandPaths, type CommandNode, type OptionNode } from './command-tree.ts';

/** Builds a script for zsh, to be sourced or saved in a folder of `fpath` as `_readapt`. */
export function zshCompletion(root: CommandNode): string {
  const nodes = allCommands(root);
  return `#compdef readapt
# Completion of readapt for zsh: source <(readapt completion zsh)
_readapt() {
  local at='' i
  local -a commands options choices
  local current=$words[CURRENT] previous=$words[CURRENT-1]
  for ((i = 2; i < CURRENT; i++)); do
    case "$at $words[i]" in
      ${subcommandPaths(root).map(quote).join(' | ')}) at="$at $words[i]" ;;
    esac
  done
  case "$at $previous" in
${nodes.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${nodes.map(wordsCase).join('\n')}
  esac
  if [[ $current == -* ]]; then
    _describe -o option options
  elif (( $#commands )); then
    _describe command commands
  elif (( $#choices )); then
    compadd -- $choices
  else
    _files || _describe -o option options
  fi
}
if [[ $funcstack[1] == _readapt ]]; then _readapt "$@"; else compdef _readapt readapt; fi
`;
}

function valueCases(node: CommandNode): string[] {
  return node.options.filter(({ takesValue }) => takesValue).map((option) => valueCase(node, option));
}

function valueCase(node: CommandNode, { names, completed, choices }: OptionNode): string {
  const pattern = names.map((name) => quote(`${spelled(node)} ${name}`)).join(' | ');
  const action = {
    nothing: '_message value',
    choices: `compadd -- ${choices.map(quote).join(' ')}`,
    files: '_files',
    folders: '_files -/',
  }[completed];
  return `    ${pattern}) ${action}; return ;;`;
}

function wordsCase(node: CommandNode): string {
  const options = node.options.flatMap(({ names, description }) => names.map((name) => described(name, description)));
  const commands = node.children.map(({ name, description }) => described(name, description));
  return (
    `    ${quote(spelled(node))}) options=(${options.join(' ')}); commands=(${commands.join(' ')}); ` +
    `choices=(${node.choices.map(quote).join(' ')}) ;;`
  );
}

/** Formats an entry for `_describe`, which separates a word from its description by a colon. */
function described(name: string, description: string): string {
  return quote(`${name.replaceAll(':', '\\:')}:${description}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
