import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../../experiments/plan.ts';

const FOLDER = path.join(import.meta.dirname, '../../../experiments');
const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.yaml'));

describe('the experiments of this repository', () => {
  it.each(files)('%s can be planned, and its rows are there', async (name) => {
    const experiment = await loadExperiment(path.join(FOLDER, name), {
      SMOLLM2: '/models/smollm2',
      SMOLLM2_VERSIONS: '/models/versions',
    });
    expect(experiment.name).toBe(name.replace('.yaml', ''));
    expect(planExperiment(experiment).filter(({ type }) => type === 'cell').length).toBeGreaterThan(0);
    for (const { train, validation, test } of experiment.tasks)
      await Promise.all([train, validation, test].map((file) => access(file)));
  });
});
