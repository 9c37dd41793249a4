/** How commands speak: results on stdout (aligned text, or one JSON document), everything else on stderr. */

export interface Output {
  /** The command's result: `document` as JSON under `--json`, else `rows` as aligned text, and a text below them. */
  result(document: object, rows: readonly (readonly [label: string, value: string])[], below?: string): void;
  /** A line for people, on stderr. */
  log(line: string): void;
  /** Replaces the last progress line on a terminal; silent elsewhere. */
  progress(line: string): void;
}

/** Labels and values in two aligned columns. */
export function alignRows(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}\n`).join('');
}

export function createOutput(options: { json: boolean }): Output {
  const terminal = process.stderr.isTTY === true;
  let pending = false;
  const clear = (): void => {
    if (pending) process.stderr.write('\r\x1b[2K');
    pending = false;
  };
  return {
    result(document, rows, below = '') {
      clear();
      process.stdout.write(options.json ? `${JSON.stringify(document, null, 2)}\n` : `${alignRows(rows)}${below}`);
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

/** 1234567 → `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** A fraction as a percentage with one decimal; `–` for null. */
export function percent(value: number | null): string {
  return value === null ? '–' : `${(value * 100).toFixed(1)} %`;
}

/** Milliseconds for people: `840 ms`, `12.3 s`, `4 min 05 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}
