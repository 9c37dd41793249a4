interface ParsedLabels {
  /** Labels; null if the text is empty or not valid. */
  readonly labels: Record<string, string> | null;
  /** Message about the first part that is not `key=value`; null if the text is valid. */
  readonly error: string | null;
}

/** Parses `tier=gold, team=search`. It also accepts `tier:gold`, the form of the API's filters. */
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
