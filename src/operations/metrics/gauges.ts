import { Gauge, type Registry } from 'prom-client';

/** One value of a Prometheus gauge, with the labels that it is for. */
export interface Sample<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

export interface ReadGauge<T, Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly Label[];
  /** Computes the values of the gauge, one for each set of labels, from the data read for a scrape. */
  readonly samples: (found: T) => readonly Sample<Label>[];
}

/**
 * Registers a Prometheus gauge whose values are read anew for each scrape. If the read fails, the gauge has no value.
 */
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
 * Wraps a read so that concurrent callers share it and its result is cached. The cost then does not grow with the
 * number of scrapes.
 * @param keptMs time for which the result is cached, in milliseconds
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
