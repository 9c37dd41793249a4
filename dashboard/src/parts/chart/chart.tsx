import type * as Plot from '@observablehq/plot';
import { Box, Table, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useAppearance } from '../shell/preferences.ts';
import { Loaded } from '../feedback/loaded.tsx';

export type PlotModule = typeof Plot;

export interface ChartProps {
  /**
   * Description of the chart for people who cannot see it, with the outcome: `Loss over 120 steps, 0.41 at the end`.
   */
  readonly label: string;
  /** Height of the chart in pixels. */
  readonly height?: number;
  /**
   * Builds the options of the plot. Colours are CSS variables of the theme, such as `var(--accent-9)`. Do not use
   * `style` texts or legends: the content security policy blocks their style elements. Keep the function's identity
   * (useCallback) while the data are the same.
   */
  readonly plot: (plot: PlotModule) => Plot.PlotOptions;
  /** Data of the chart as a table, for readers who cannot see it or want the numbers. */
  readonly table: { readonly columns: readonly string[]; readonly rows: readonly (readonly ReactNode[])[] };
  readonly caption?: ReactNode;
}

const plotQuery = {
  queryKey: ['observable-plot'],
  queryFn: () => import('@observablehq/plot'),
  staleTime: Number.POSITIVE_INFINITY,
  structuralSharing: false,
} as const;

/** Chart drawn with Observable Plot. The library loads with the first chart. */
export function Chart({ label, height = 240, plot, table, caption }: ChartProps) {
  const [figure, width] = useWidth();
  const library = useQuery(plotQuery);
  const appearance = useAppearance();
  const place = useRef<HTMLDivElement>(null);
  const module = library.data;
  useEffect(() => {
    if (module === undefined || width === 0) return;
    const drawn = module.plot({ width, height, className: 'plot', ...plot(module) });
    // The content security policy blocks style elements; the stylesheet has the same rules.
    for (const style of drawn.querySelectorAll('style')) style.remove();
    // The container has a text alternative; the labels that the library gives to marks do not help screen readers.
    drawn.setAttribute('aria-hidden', 'true');
    place.current?.replaceChildren(drawn);
  }, [module, width, height, plot, appearance]);
  return (
    <Box asChild>
      <figure ref={figure} className="chart">
        <Loaded query={library} what="the chart" height={height}>
          {() => <div ref={place} role="img" aria-label={label} />}
        </Loaded>
        {caption !== undefined && (
          <Text size="2" color="gray" asChild>
            <figcaption>{caption}</figcaption>
          </Text>
        )}
        <Figures label={label} {...table} />
      </figure>
    </Box>
  );
}

function Figures({ label, columns, rows }: ChartProps['table'] & { label: string }) {
  return (
    <details className="figures-of-chart">
      <summary>Figures as a table</summary>
      <div className="scrolls" tabIndex={0} role="region" aria-label={`Figures: ${label}`}>
        <Table.Root size="1">
          <Table.Header>
            <Table.Row>
              {columns.map((name) => (
                <Table.ColumnHeaderCell key={name}>{name}</Table.ColumnHeaderCell>
              ))}
            </Table.Row>
          </Table.Header>
          <Table.Body>
            {rows.map((row, index) => (
              <Table.Row key={index}>
                {row.map((cell, column) => (
                  <Table.Cell key={columns[column]}>{cell}</Table.Cell>
                ))}
              </Table.Row>
            ))}
          </Table.Body>
        </Table.Root>
      </div>
    </details>
  );
}

function useWidth() {
  const element = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    if (element.current !== null) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
}
