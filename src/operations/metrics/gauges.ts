import { Gauge, type Registry } from 'prom-client';

/** One value of a gauge, with the labels that it has. */
export interface Sample<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

export interface ReadGauge<T, Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly Label[];
  /** The values of what was read. */
  readonly samples: (found: T) => readonly Sample<Label>[];
}

/** Makes a gauge whose values are read when it is scraped. It has none where they cannot be read. */
export function registerReadGauge<T, Label extends string = never>(
  registry: Registry,
  read: () => Promise<T | null>,
  { name, help, labelNames = [], samples }: ReadGauge<T, Label>,
): void {
  new Gauge<Label>({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      const found = await read();
      this.reset();
      // A gauge without labels begins with 0, which would be a claim where nothing is known.
      if (labelNames.length === 0) this.remove();
      for (const { labels, value } of found === null ? [] : samples(found)) this.set(labels, value);
    },
  });
}

/** The one sample of a gauge without labels. */
export const single = (value: number): readonly Sample<never>[] => [{ labels: {}, value }];

/**
 * Reads something for all who ask at once, and keeps it for some time, so that scrapes cost the same however many there are.
 * @param keptMs in milliseconds
 */
export function readTogether<T>(read: () => Promise<T>, keptMs: number): () => Promise<T> {
  let last: { readonly until: number; readonly result: Promise<T> } | null = null;
  return () => {
    if (last === null || performance.now() >= last.until) {
      const entry = { until: Infinity, result: read() };
      last = entry;
      void entry.result.finally(() => (entry.until = performance.now() + keptMs)).catch(() => undefined);
    }
    return last.result;
  };
}
