import { Gauge, type Registry } from 'prom-client';

/** Value of a gauge, with its labels. */
export interface Sample<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

export interface ReadGauge<T, Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly Label[];
  /** Derives the samples from the result of the read. */
  readonly samples: (found: T) => readonly Sample<Label>[];
}

/** Registers a gauge that reads its values during each scrape. If the read fails, the gauge has no value. */
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
      // A gauge without labels starts at 0, which would be wrong if the value is unknown.
      if (labelNames.length === 0) this.remove();
      for (const { labels, value } of found === null ? [] : samples(found)) this.set(labels, value);
    },
  });
}

export const single = (value: number): readonly Sample<never>[] => [{ labels: {}, value }];

/**
 * Shares one read among concurrent callers and caches its result, so that the cost does not grow with the number of
 * scrapes.
 * @param keptMs lifetime of the result in milliseconds
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
