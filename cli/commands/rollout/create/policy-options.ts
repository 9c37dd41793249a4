import { InvalidArgumentError, Option, type Command } from 'commander';
import type { RolloutPolicy } from '../../../remote/client.ts';
import { labels, several } from '../../../remote/collect.ts';
import { integer, number } from '../../../options/parsers.ts';
import { quoted } from '../../../process/errors.ts';

type Wave = NonNullable<RolloutPolicy['waves']>[number];
type PauseIf = NonNullable<RolloutPolicy['pause_if']>;

/**
 * Flags that make up a rollout's policy. A part that no flag sets comes from the rollout file, the base model's policy
 * or the service's defaults.
 */
export interface PolicyFlags {
  readonly wave?: readonly Wave[];
  readonly approve?: string;
  readonly approveTimeout?: number;
  readonly pauseIf?: PauseIf;
  readonly priority?: RolloutPolicy['priority'];
  readonly concurrency?: number;
  readonly deadline?: string;
  readonly budgetDeviceSeconds?: number;
  readonly supersede?: RolloutPolicy['supersede'];
  readonly provisional?: RolloutPolicy['provisional'];
  readonly late?: RolloutPolicy['late'];
  readonly tenant?: readonly string[];
  readonly adapter?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
}

/** Adds to a command a flag for every part of a rollout's policy. */
export function addPolicyOptions(command: Command): Command {
  return addSelectionOptions(
    command
      .optionsGroup('Policy (docs/rollouts.md):')
      .addOption(
        new Option(
          '--wave <size>',
          'A wave, the first being the canary: a number, 20%, or LABEL=VALUE[,…]. May be given several times.',
        ).argParser(wave),
      )
      .option('--approve <how>', 'Who releases each later wave: auto, manual, or a URL that is asked.')
      .option('--approve-timeout <ms>', 'How long an answer of that URL may take, in milliseconds.', integer(100))
      .addOption(
        new Option(
          '--pause-if <condition=limit>',
          'Pause by itself beyond a limit: unready_share=0.2, metric_drop=0.01 or negative_flips=0.05; ' +
            'min_jobs=5 says when a wave is judged. May be given several times.',
        ).argParser(pauseIf),
      )
      .addOption(
        new Option('--priority <name>', 'Which rollouts begin their jobs first.').choices(['high', 'normal', 'low']),
      )
      .option('--concurrency <n>', 'Most jobs that run at a time.', integer(1))
      .option(
        '--deadline <time>',
        'When all should be carried over, as 2027-01-31T00:00:00Z, or in 90m, 6h or 2d.',
        deadline,
      )
      .option(
        '--budget-device-seconds <x>',
        'Pause when the jobs have held devices for longer.',
        number((value) => value > 0, 'a positive number'),
      )
      .addOption(
        new Option('--supersede <how>', 'What becomes of running jobs of rollouts to older versions.').choices([
          'finish',
          'stop',
        ]),
      )
      .addOption(
        new Option(
          '--provisional <how>',
          'Version that every adapter gets at once, which nobody has measured.',
        ).choices(['revert', 'reuse', 'none']),
      )
      .addOption(
        new Option('--late <how>', 'What becomes of adapters that are imported meanwhile.').choices(['join', 'next']),
      ),
  );
}

function addSelectionOptions(command: Command): Command {
  return command
    .optionsGroup('Which adapters it takes (all, without any of these):')
    .addOption(
      new Option('--tenant <id>', 'All adapters of this tenant. May be given several times.').argParser(several),
    )
    .addOption(new Option('--adapter <id>', 'This adapter. May be given several times.').argParser(several))
    .addOption(
      new Option('--label <key=value>', 'Of these, those with this label. May be given several times.').argParser(
        labels,
      ),
    );
}

/**
 * Merges the policy given by flags into the policy in the rollout file. A part that is given by flags replaces the
 * whole part of the same name in the file.
 */
export function policyOf(flags: PolicyFlags, file: RolloutPolicy | undefined): RolloutPolicy | undefined {
  const selection = {
    ...(flags.tenant && { tenants: [...flags.tenant] }),
    ...(flags.adapter && { adapters: [...flags.adapter] }),
    ...(flags.label && { labels: flags.label }),
  };
  const approve = approval(flags);
  const given: RolloutPolicy = {
    ...(Object.keys(selection).length > 0 && { selection }),
    ...(flags.wave && { waves: [...flags.wave] }),
    ...(approve && { approve }),
    ...(flags.pauseIf && { pause_if: flags.pauseIf }),
    ...(flags.priority && { priority: flags.priority }),
    ...(flags.concurrency !== undefined && { concurrency: flags.concurrency }),
    ...(flags.deadline !== undefined && { deadline: flags.deadline }),
    ...(flags.budgetDeviceSeconds !== undefined && { budget_device_seconds: flags.budgetDeviceSeconds }),
    ...(flags.supersede && { supersede: flags.supersede }),
    ...(flags.provisional && { provisional: flags.provisional }),
    ...(flags.late && { late: flags.late }),
  };
  // A policy in the request, even an empty one, replaces that of the base model.
  return file === undefined && Object.keys(given).length === 0 ? undefined : { ...file, ...given };
}

function approval({ approve, approveTimeout }: PolicyFlags): RolloutPolicy['approve'] {
  if (approve === undefined || approve === 'auto' || approve === 'manual') return approve;
  return { url: approve, ...(approveTimeout !== undefined && { timeout_ms: approveTimeout }) };
}

function wave(text: string, before: readonly Wave[] = []): Wave[] {
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  if (percent !== undefined) return [...before, { percent: Number(percent) }];
  if (/^\d+$/.test(text)) return [...before, { count: Number(text) }];
  if (text.includes('=')) {
    return [...before, { label: text.split(',').reduce<Record<string, string>>((all, pair) => labels(pair, all), {}) }];
  }
  throw new InvalidArgumentError(`expected a number, a percentage such as 20%, or LABEL=VALUE, found ${quoted(text)}.`);
}

const CONDITIONS = ['unready_share', 'metric_drop', 'negative_flips', 'min_jobs'] as const;

function pauseIf(text: string, before: PauseIf = {}): PauseIf {
  const [, name = '', limit = ''] = /^([a-z_-]+)=(.+)$/.exec(text) ?? [];
  const condition = CONDITIONS.find((each) => each === name.replaceAll('-', '_'));
  const value = Number(limit);
  if (condition === undefined || limit.trim() === '' || !Number.isFinite(value)) {
    throw new InvalidArgumentError(
      `expected one of ${CONDITIONS.join(', ')} with a limit, such as ${CONDITIONS[0]}=0.2, found ${quoted(text)}.`,
    );
  }
  return { ...before, [condition]: value };
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses the deadline of a rollout: a point in time, or a time from now such as `6h`. */
function deadline(text: string): string {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const milliseconds =
    count === undefined
      ? /^\d{4}-\d\d-\d\dT/.test(text)
        ? Date.parse(text)
        : NaN
      : Date.now() + Number(count) * (UNITS[unit] ?? NaN);
  if (!Number.isNaN(milliseconds)) return new Date(milliseconds).toISOString();
  throw new InvalidArgumentError(
    `expected a time such as 2027-01-31T00:00:00Z, or 90m, 6h or 2d, found ${quoted(text)}.`,
  );
}
