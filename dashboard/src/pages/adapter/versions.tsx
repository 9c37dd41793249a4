import { Badge, Flex } from '@radix-ui/themes';
import type { AdapterVersion } from '@readapt/client';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { useEndless } from '../../api/use-endless.ts';
import { decimal } from '../../lib/format.ts';
import { DataTable } from '../../parts/table/data-table.tsx';
import type { Column } from '../../parts/table/use-server-table.ts';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { Time } from '../../parts/values/time.tsx';

interface VersionsProps {
  readonly versions: readonly AdapterVersion[];
  readonly latestId: string | null;
  readonly table: ReturnType<typeof useEndless<AdapterVersion>>['table'];
}

export function Versions({ versions, latestId, table }: VersionsProps) {
  const columns = useMemo(() => columnsOf(latestId), [latestId]);
  return <DataTable label="Versions of the adapter" columns={columns} rows={versions} {...table} height={400} />;
}

function columnsOf(latestId: string | null): readonly Column<AdapterVersion>[] {
  return [
    {
      id: 'number',
      header: 'Version',
      width: 150,
      cell: ({ id, number, provisional }) => (
        <Flex gap="2" align="center">
          {number}
          {id === latestId && <Badge highContrast>latest</Badge>}
          {provisional && (
            <Badge color="amber" highContrast>
              provisional
            </Badge>
          )}
        </Flex>
      ),
    },
    {
      id: 'base',
      header: 'For',
      width: 160,
      cell: ({ base_model_version_id: id }) => <BaseVersionLink id={id} />,
    },
    { id: 'origin', header: 'How it was made', width: 200, cell: (version) => <Origin version={version} /> },
    { id: 'value', header: 'Metric', align: 'end', cell: ({ gate_value: value }) => decimal(value) },
    {
      id: 'anchor',
      header: 'Against its anchor',
      align: 'end',
      width: 160,
      cell: ({ anchor }) => (anchor === null ? '' : `${anchor.difference < 0 ? '' : '+'}${decimal(anchor.difference)}`),
    },
    { id: 'created', header: 'Made', cell: ({ created_at: time }) => <Time value={time} /> },
  ];
}

function Origin({ version: { origin, strategy, job_id: jobId } }: { version: AdapterVersion }) {
  if (jobId === null) return origin;
  return (
    <Link to="/jobs/$jobId" params={{ jobId }} className="plain-link">
      {strategy ?? origin}
    </Link>
  );
}
