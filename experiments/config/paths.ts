const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` by environment variables. A blank variable counts as unset.
 * @returns the text, or the name of the first variable that is unset and has no default
 */
export function expandPath(text: string, environment: NodeJS.ProcessEnv): string | { readonly unset: string } {
  const valueOf = (name: string): string | undefined => environment[name]?.trim() || undefined;
  for (const [, name = '', fallback] of text.matchAll(VARIABLE))
    if (valueOf(name) === undefined && fallback === undefined) return { unset: name };
  return text.replaceAll(VARIABLE, (_, name: string, fallback: string | undefined) => valueOf(name) ?? fallback ?? '');
}
