/** Output of a command: the result on stdout as aligned text or one JSON document, everything else on stderr. */
export interface Output {
  /** Prints the result: `document` as JSON under `--json`, otherwise `rows` as aligned text, and a text below them. */
  result(document: object, rows: readonly (readonly [label: string, value: string])[], below?: string): void;
  /** Prints a line for people on stderr. */
  log(line: string): void;
  /** Replaces the last progress line. Prints nothing if stderr is not a terminal. */
  progress(line: string): void;
}

/** Formats labels and values as two aligned columns. */
function alignRows(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}\n`).join('');
}

export function createOutput({ json = false }: { readonly json?: boolean }): Output {
  const terminal = process.stderr.isTTY === true;
  let pending = false;
  const clear = (): void => {
    if (pending) process.stderr.write('\r\x1b[2K');
    pending = false;
  };
  return {
    result(document, rows, below = '') {
      clear();
      process.stdout.write(json ? `${JSON.stringify(document, null, 2)}\n` : `${alignRows(rows)}${below}`);
    },
    log(line) {
      clear();
      process.stderr.write(`${line}\n`);
    },
    progress(line) {
      if (!terminal) return;
      clear();
      process.stderr.write(line.slice(0, (process.stderr.columns ?? 80) - 1));
      pending = true;
    },
  };
}

/** Formats a count with separators, for example `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Formats a fraction as a percentage; null becomes `–`. */
export function percent(value: number | null, decimals = 1): string {
  return value === null ? '–' : `${(value * 100).toFixed(decimals)} %`;
}

/** Formats milliseconds for people: `840 ms`, `12.3 s` or `4 min 05 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}
