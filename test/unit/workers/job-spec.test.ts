import { expect, it } from 'vitest';
import { RolloutOptions, withDefaults } from '../../../src/modules/rollouts/rollout.schemas.ts';
import { adaptOptions } from '../../../workers/adaptations/job-spec.ts';
import { ADAPTATION_DEFAULTS } from '../../../core/adaptation/job-options.ts';

/** What the fleet's schedule goes by. */
const OF_THE_FLEET = ['control', 'control_fraction'];

it('every option of a rollout reaches the job under its name there', () => {
  const names = Object.keys(RolloutOptions.properties).filter(
    (name) => !OF_THE_FLEET.includes(name) && name !== 'strategy',
  );
  const given = Object.fromEntries(names.map((name) => [name, `value of ${name}`])) as RolloutOptions;
  const options = adaptOptions({ id: 'job_1', strategy: 'relora' }, withDefaults(given));
  const camelCase = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  expect(options).toEqual({
    strategy: 'relora',
    ...Object.fromEntries(names.map((name) => [camelCase(name), `value of ${name}`])),
  });
});

it('the defaults that the API states are those of the job', () => {
  const stated = Object.entries(RolloutOptions.properties).flatMap(([name, schema]) => {
    return 'default' in schema && !OF_THE_FLEET.includes(name) ? [[name, schema.default]] : [];
  });
  const options = adaptOptions({ id: 'job_1', strategy: 'auto' }, withDefaults(Object.fromEntries(stated)));
  const known = Object.entries(options).filter(([, value]) => value !== undefined);
  expect(known.length).toBeGreaterThan(6);
  expect(ADAPTATION_DEFAULTS).toMatchObject(Object.fromEntries(known));
});
