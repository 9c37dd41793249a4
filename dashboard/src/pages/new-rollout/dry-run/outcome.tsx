import { Callout, Flex, Heading, Spinner, Text } from '@radix-ui/themes';
import type { RolloutForecast } from '@readapt/client';
import { counted, duration, sentence } from '../../../lib/format.ts';
import { leftOutWords } from '../../../lib/left-out-words.ts';
import { FIGURES, IntervalBar } from '../../../parts/values/interval-bar.tsx';
import { Compatibility } from './compatibility.tsx';

/**
 * Outcome of a dry run: the adapters to be carried over, the predicted figures and the compatibility of the bases.
 * Until it is computed, its progress; if it failed, its error.
 */
export function DryRunOutcome({ forecast }: { forecast: RolloutForecast }) {
  const { state, error } = forecast;
  if (state === 'queued' || state === 'computing') {
    return (
      <Flex gap="2" align="center" role="status">
        <Spinner />
        <Text size="2">
          {state === 'queued'
            ? 'Waits for a worker, which reads the files and compares the versions.'
            : 'A worker reads the files and compares the versions.'}
        </Text>
      </Flex>
    );
  }
  if (state === 'failed') {
    return (
      <Callout.Root color="red" role="alert" highContrast>
        <Callout.Text>
          <strong>The version cannot be used.</strong> {error?.message}. {error?.detail} (code {error?.code})
        </Callout.Text>
      </Callout.Root>
    );
  }
  return (
    <Flex direction="column" gap="4" role="status">
      <Taken forecast={forecast} />
      <Figures forecast={forecast} />
      <Compatibility entries={forecast.compatibility} />
    </Flex>
  );
}

function Taken({
  forecast: { adapters, skipped, tenant_count: tenants, waves, version },
}: {
  forecast: RolloutForecast;
}) {
  if (adapters === null) return null;
  return (
    <div>
      <Heading as="h3" size="4">
        {counted(adapters.taken, 'adapter')} of {counted(tenants ?? 0, 'tenant')} would move to version {version}
      </Heading>
      {waves.length > 1 && (
        <Text as="p" size="2" mt="1">
          In {waves.length} waves of {waves.join(', then ')}.
        </Text>
      )}
      {skipped.length > 0 && (
        <>
          <Text as="p" size="2" mt="2">
            {counted(adapters.skipped, 'adapter')} would stay where {adapters.skipped === 1 ? 'it is' : 'they are'}:
          </Text>
          <ul className="error-list">
            {skipped.map(({ reason, adapters: number }) => (
              <li key={reason}>
                <Text size="2">
                  {number} {leftOutWords(reason)}
                </Text>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Figures({ forecast }: { forecast: RolloutForecast }) {
  const { figures, reason, workers, jobs_ahead: ahead, basis } = forecast;
  return (
    <div>
      <Heading as="h3" size="3" mb="1">
        What it costs and when it ends
      </Heading>
      {figures.makespan_ms.predicted === null ? (
        <Text as="p" size="2">
          Not known{reason === null ? '' : `: ${reason}`}.
        </Text>
      ) : (
        <table className="plain-table">
          <tbody>
            {FIGURES.map(({ name, label, ms }) => {
              const { predicted, low, high } = figures[name];
              const shown = (value: number | null) => duration(value === null ? null : ms(value));
              return (
                <tr key={name}>
                  <th scope="row">{label}</th>
                  <td>
                    <strong className="figures">{shown(predicted)}</strong>
                    {low !== null && (
                      <Text size="1" as="p" className="figures">
                        {shown(low)} to {shown(high)}
                      </Text>
                    )}
                    <IntervalBar figure={figures[name]} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <Text as="p" size="1" color="gray" mt="2">
        {workersInWords(workers)}
        {ahead !== null && ahead > 0 && `, behind ${counted(ahead, 'job')} of other rollouts`}.{' '}
        {basis.map(({ text }) => sentence(text)).join(' ')}
      </Text>
    </div>
  );
}

function workersInWords(workers: RolloutForecast['workers']): string {
  if (workers.length === 0) return 'No worker is ready';
  return `On ${workers.map(({ device, workers: number }) => `${counted(number, 'worker')} (${device})`).join(', ')}`;
}
