import { Text } from '@radix-ui/themes';
import { useMemo } from 'react';
import type { Job, SearchPoint } from '@readapt/client';
import { count, counted, decimal, duration } from '../../../lib/format.ts';
import { Chart } from '../../../parts/chart/chart.tsx';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { bestOf, planeOf } from './plane.ts';
import { useSearchRecord, type SearchRecord } from './search-queries.ts';

/**
 * Fusion coefficients α and β that the job has measured, in order, and the loss that the surrogate model of the search
 * expects for other values.
 */
export function Search({ job }: { job: Job }) {
  const query = useSearchRecord(job);
  return (
    <Section title="The search for coefficients">
      <Loaded query={query} what="the search" height={360}>
        {(record) =>
          record.points.length === 0 ? (
            <Empty title="No coefficients were measured.">
              The job was not asked to search, or has not come so far.
            </Empty>
          ) : (
            <Plane record={record} />
          )
        }
      </Loaded>
    </Section>
  );
}

function Plane({ record }: { record: SearchRecord }) {
  const plot = useMemo(() => planeOf(record), [record]);
  const { points, surrogate } = record;
  const best = bestOf(points);
  return (
    <>
      <Text as="p" size="2" color="gray">
        The new adapter is α times the old one, plus β times the change of the base. The loss is measured on the search
        rows, never on those of the gate.
      </Text>
      <div className="readable">
        <Chart
          label={
            `${counted(points.length, 'point')} of the search in the plane of α and β; ` +
            `the best is ${placeOf(best)} with loss ${decimal(best.loss)}`
          }
          height={460}
          plot={plot}
          caption={captionOf(surrogate.mean.length > 0)}
          table={{
            columns: ['Order', 'α', 'β', 'Loss', 'Rows', 'Took'],
            rows: points.map(({ index, fusion_alpha: alpha, fusion_beta: beta, loss, rows, duration_ms: ms }) => [
              index + 1,
              decimal(alpha),
              decimal(beta),
              decimal(loss),
              count(rows),
              duration(ms),
            ]),
          }}
        />
      </div>
    </>
  );
}

function placeOf({ fusion_alpha: alpha, fusion_beta: beta }: SearchPoint): string {
  return `(${decimal(alpha, 2)}, ${decimal(beta, 2)})`;
}

function captionOf(hasModel: boolean): string {
  const numbers = 'Numbers give the order in which points were measured, and the star is the best of them.';
  return hasModel
    ? `${numbers} The stronger the color, the smaller the loss that the model of the search expects there; ` +
        'where it is plain, it expects nothing better than copy.'
    : `${numbers} A model of what lies between them needs three points at least, the copy among them.`;
}
