import { Flex, Text } from '@radix-ui/themes';
import { listNegativeFlips, type AdapterVersion, type NegativeFlip } from '@readapt/client';
import { client } from '../../../api/client.ts';
import { useEndless } from '../../../api/use-endless.ts';
import { count, counted, percent, UNKNOWN } from '../../../lib/format.ts';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { DataTable } from '../../../parts/table/data-table.tsx';
import type { Column } from '../../../parts/table/use-server-table.ts';
import { metricValue } from '../../../lib/metric-words.ts';

const COLUMNS: readonly Column<NegativeFlip>[] = [
  { id: 'row', header: 'Row of the dataset', cell: ({ row }) => count(row), align: 'end', width: 160 },
  {
    id: 'slices',
    header: 'Slices',
    cell: ({ slices }) => (slices.length === 0 ? UNKNOWN : slices.join(', ')),
    width: 260,
  },
];

const rowId = ({ dataset_id: dataset, row }: NegativeFlip) => `${dataset ?? ''} ${row}`;

interface NegativeFlipsProps {
  readonly adapterId: string;
  readonly versionId: string;
  /** Version that the job has published, with its metrics; undefined while it loads. */
  readonly version: AdapterVersion | undefined;
}

/** Rows that the old version had right and the new one has wrong, by slice and row number. */
export function NegativeFlips({ adapterId, versionId, version }: NegativeFlipsProps) {
  const { query, table } = useEndless<NegativeFlip>({
    queryKey: ['negative-flips', adapterId, versionId],
    read: ({ signal, ...page }) =>
      listNegativeFlips({ client, path: { id: adapterId, version_id: versionId }, query: page, signal }),
    rowId,
  });
  if (version === undefined) return null;
  return (
    <Section title="Negative flips">
      <Text as="p" size="2" color="gray">
        Gate rows that the old version had right and this one has wrong
        {shareOf(version)}. Rows are told by their numbers: what stands in them belongs to the tenant.
      </Text>
      <Loaded query={query} what="the negative flips">
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No row was lost." />
          ) : (
            <Flex direction="column" gap="3" className="readable">
              <Slices version={version} flips={rows} isWhole={table.loadMore === undefined} />
              <DataTable label="Negative flips" columns={COLUMNS} rows={rows} {...table} height={300} />
            </Flex>
          )
        }
      </Loaded>
    </Section>
  );
}

function shareOf({ metrics }: AdapterVersion): string {
  const share = metrics?.negative_flips;
  return typeof share === 'number' ? `, ${percent(share)} of them` : '';
}

/** Table of the rows lost per slice, with the version's metric on the slice. */
function Slices({
  version,
  flips,
  isWhole,
}: {
  version: AdapterVersion;
  flips: readonly NegativeFlip[];
  isWhole: boolean;
}) {
  const slices = slicesOf(version);
  if (slices.length === 0) return null;
  return (
    <table className="plain-table" aria-label="Negative flips by slice">
      <thead>
        <tr>
          <th scope="col">Slice</th>
          <th scope="col">Rows lost{isWhole ? '' : ' so far'}</th>
          <th scope="col">Gate rows</th>
          <th scope="col">Value there</th>
        </tr>
      </thead>
      <tbody>
        {slices.map(({ name, rows, value }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td className="end">{count(flips.filter((flip) => flip.slices.includes(name)).length)}</td>
            <td className="end">{counted(rows, 'row')}</td>
            <td className="end">{metricValue(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Slice {
  readonly name: string;
  readonly rows: number;
  readonly value: number;
}

/**
 * Metrics of the version on each slice. The API leaves their format open, so entries of another format are left out.
 */
function slicesOf({ metrics }: AdapterVersion): readonly Slice[] {
  const slices = metrics?.slices;
  if (typeof slices !== 'object' || slices === null) return [];
  return Object.entries(slices).flatMap(([name, slice]: [string, unknown]) => {
    const { rows, value } = (slice ?? {}) as Partial<Slice>;
    return typeof rows === 'number' && typeof value === 'number' ? [{ name, rows, value }] : [];
  });
}
