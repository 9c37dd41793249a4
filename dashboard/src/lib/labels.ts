interface ParsedLabels {
  /** Null if none is given. */
  readonly labels: Record<string, string> | null;
  /** What is wrong with the text; null if nothing is. */
  readonly error: string | null;
}

/** Reads `tier=gold, team=search`; `tier:gold`, as lists of the API have it, is taken as well. */
export function parseLabels(text: string): ParsedLabels {
  const parts = text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const pairs = parts.map((part) => /^([^=:\s]+)\s*[=:]\s*(\S+)$/.exec(part));
  const wrong = parts.find((_, index) => pairs[index] === null);
  if (wrong !== undefined) return { labels: null, error: `"${wrong}" is not key=value` };
  if (parts.length === 0) return { labels: null, error: null };
  return { labels: Object.fromEntries(pairs.map((pair) => [pair![1]!, pair![2]!])), error: null };
}
