import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../../experiments/plan.ts';

const FOLDER = path.join(import.meta.dirname, '../../../experiments');
const yamlIn = async (folder: string): Promise<string[]> =>
  (await readdir(path.join(FOLDER, folder))).filter((name) => name.endsWith('.yaml'));

/** Files with the names of their experiments, which are also the names of their results' folders. */
const files = [
  ...(await yamlIn('.')).map((name) => [name, name.replace('.yaml', '')] as const),
  ...(await yamlIn('ablations')).map((name) => [`ablations/${name}`, `ablation-${name.replace('.yaml', '')}`] as const),
  ...(await yamlIn('registered')).map(
    (name) => [`registered/${name}`, `registered-${name.replace('.yaml', '')}`] as const,
  ),
];

describe('the experiments of this repository', () => {
  it.each(files)('%s can be planned, and its rows are there', async (file, name) => {
    const experiment = await loadExperiment(path.join(FOLDER, file), {
      SMOLLM2: '/models/smollm2',
      SMOLLM2_VERSIONS: '/models/versions',
      EVOLUTIONS: '/models/evolutions',
    });
    expect(experiment.name).toBe(name);
    expect(planExperiment(experiment).filter(({ type }) => type === 'cell').length).toBeGreaterThan(0);
    for (const task of experiment.tasks) {
      const rows = 'pool' in task ? task.pool : [task.train, task.validation, task.test];
      await Promise.all(rows.map((file) => access(file)));
    }
  });
});
