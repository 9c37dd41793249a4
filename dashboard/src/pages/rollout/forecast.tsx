import { Card, Flex, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import type { Rollout, RolloutForecast } from '@readapt/client';
import { isProblem } from '@readapt/client';
import { duration, sentence, UNKNOWN } from '../../lib/format.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { Time } from '../../parts/values/time.tsx';
import { FIGURES, IntervalBar, type Figure } from '../../parts/values/interval-bar.tsx';
import { forecastQuery } from './rollout-queries.ts';

/** Forecast made when the rollout was analyzed, beside the actual figures. */
export function Forecast({ rollout }: { rollout: Rollout }) {
  const analyzed = rollout.planned_at !== null || rollout.state === 'adapting' || rollout.finished_at !== null;
  const query = useQuery({ ...forecastQuery(rollout), enabled: analyzed });
  if (!analyzed || isProblem(query.error, 'not_found')) return null;
  return (
    <Section title="Predicted and actual">
      <Loaded query={query} what="the forecast">
        {(forecast) => <Comparison forecast={forecast} rollout={rollout} />}
      </Loaded>
    </Section>
  );
}

function Comparison({ forecast, rollout }: { forecast: RolloutForecast; rollout: Rollout }) {
  const { figures, reason, ends_at: endsAt } = forecast;
  const predicted = Object.values(figures).some((figure) => figure.predicted !== null);
  if (!predicted && rollout.finished_at === null) {
    return <Empty title="Nothing can be predicted yet.">{reason !== null && sentence(reason)}</Empty>;
  }
  return (
    <Card size="2">
      <Flex direction="column" gap="3">
        {!predicted && <Text size="2">Nothing was predicted: {reason}.</Text>}
        {predicted && endsAt !== null && rollout.finished_at === null && (
          <Text size="3" as="p">
            Predicted to end <Time value={endsAt} both />
            {interval(rollout, figures.makespan_ms)}
          </Text>
        )}
        <div className="scrolls" tabIndex={0} role="region" aria-label="Predicted and actual figures">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Figure</th>
                {predicted && <th scope="col">Predicted (from, to)</th>}
                <th scope="col">Actual</th>
                {predicted && <th scope="col">Actual against predicted</th>}
              </tr>
            </thead>
            <tbody>
              {FIGURES.map(({ name, label, ms }) => (
                <Row key={name} label={label} figure={figures[name]} ms={ms} predicted={predicted} />
              ))}
            </tbody>
          </table>
        </div>
        {predicted && (
          <Text as="p" size="2" color="gray">
            From and to have a tenth of the simulated rollouts beyond them. Pauses, approvals and controls are not
            predicted.
          </Text>
        )}
      </Flex>
    </Card>
  );
}

interface RowProps {
  readonly label: string;
  readonly figure: Figure;
  readonly ms: (value: number) => number;
  /** Whether the forecast has predicted figures, for which the table needs columns. */
  readonly predicted: boolean;
}

function Row({ label, figure, ms, predicted }: RowProps) {
  const { low, high, actual, ratio } = figure;
  const shown = (value: number | null) => (value === null ? UNKNOWN : duration(ms(value)));
  return (
    <tr>
      <th scope="row">{label}</th>
      {predicted && (
        <td className="figures">
          {shown(figure.predicted)}
          {low !== null && high !== null && ` (${shown(low)} to ${shown(high)})`}
        </td>
      )}
      <td className="figures">{shown(actual)}</td>
      {predicted && (
        <td>
          {ratio === null ? UNKNOWN : `${ratio.toFixed(2)} times as much`}
          <IntervalBar figure={figure} />
        </td>
      )}
    </tr>
  );
}

function interval({ accepted_at: accepted }: Rollout, { low, high }: Figure) {
  if (low === null || high === null) return '.';
  const at = (ms: number) => new Date(Date.parse(accepted) + ms).toISOString();
  return (
    <>
      , in eight of ten cases between <Time value={at(low)} /> and <Time value={at(high)} />.
    </>
  );
}
