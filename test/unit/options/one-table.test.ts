import { Command } from 'commander';
import Type from 'typebox';
import { expect, it } from 'vitest';
import { HELP } from '../../../cli/main.ts';
import { addJobOptions, givenJobOptions } from '../../../cli/options/job-options.ts';
import { JobOptions } from '../../../core/options/job-options.ts';
import { problemsOf } from '../../../core/options/problems.ts';
import { rolloutOptions } from '../../../src/fleet/rollouts/rollout.schemas.ts';
import { jobOptionsOf } from '../../../workers/adaptations/build-job-spec.ts';

/** The table with a new option, added only here. */
const TABLE = Type.Object(
  {
    ...JobOptions.properties,
    warm_up_share: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 0.06,
      description: 'Share of the steps to warm up.',
    }),
  },
  { additionalProperties: false },
);

it('an option that is added to the table is in the API', () => {
  expect(rolloutOptions(TABLE).properties).toHaveProperty('warm_up_share', expect.objectContaining({ default: 0.06 }));
  expect(problemsOf(rolloutOptions(TABLE), { warm_up_share: 0.1 })).toEqual([]);
  expect(problemsOf(rolloutOptions(TABLE), { warm_up_share: 2 })).toEqual(['warm_up_share is 2, expected at most 1']);
  expect(problemsOf(rolloutOptions(), { warm_up_share: 0.1 })).toEqual([
    expect.stringContaining('warm_up_share is not known'),
  ]);
});

it('… is a flag of the command line, with its help text, its default and its range', () => {
  const command = addJobOptions(new Command('rebase').configureHelp(HELP), { table: TABLE }).exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  const help = command.helpInformation().replace(/\s+/g, ' ');
  expect(help).toContain('--warm-up-share <x> Share of the steps to warm up. (default: 0.06)');
  command.parse(['--warm-up-share', '0.1', '--max-steps', '7'], { from: 'user' });
  expect(givenJobOptions(command.opts(), TABLE)).toEqual({ warm_up_share: 0.1, max_steps: 7 });
  expect(() => command.parse(['--warm-up-share', '2'], { from: 'user' })).toThrow('expected at most 1, found "2"');
});

it('… reaches the job, while the options that plan the fleet do not', () => {
  const stored = { warm_up_share: 0.1, seed: 3, control: 'all', control_fraction: 0.5 };
  expect(jobOptionsOf(stored, TABLE.properties)).toEqual({ warm_up_share: 0.1, seed: 3 });
});
