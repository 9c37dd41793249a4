import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../experiments/plan.ts';

const FOLDER = path.join(import.meta.dirname, '../../experiments');
const yamlIn = async (folder: string): Promise<string[]> =>
  (await readdir(path.join(FOLDER, folder))).filter((name) => name.endsWith('.yaml'));

/** Files with the names of their experiments, which are also the names of the folders of results. */
const files = [
  ...(await yamlIn('.')).map((name) => [name, name.replace('.yaml', '')] as const),
  ...(await yamlIn('ablations')).map((name) => [`ablations/${name}`, `ablation-${name.replace('.yaml', '')}`] as const),
  ...(await yamlIn('registered')).map(
    (name) => [`registered/${name}`, `registered-${name.replace('.yaml', '')}`] as const,
  ),
];

const registered = await yamlIn('registered');
const load = (name: string) => loadExperiment(path.join(FOLDER, 'registered', name), MODELS);

const MODELS = {
  SMOLLM2: '/models/smollm2',
  SMOLLM2_VERSIONS: '/models/versions',
  EVOLUTIONS: '/models/evolutions',
};

describe('the experiments of this repository', () => {
  it.each(files)('%s can be planned, and its rows are there', async (file, name) => {
    const experiment = await loadExperiment(path.join(FOLDER, file), MODELS);
    expect(experiment.name).toBe(name);
    expect(planExperiment(experiment).filter(({ type }) => type === 'cell').length).toBeGreaterThan(0);
    for (const task of experiment.tasks) {
      const rows = 'pool' in task ? task.pool : [task.train, task.validation, task.test];
      await Promise.all(rows.map((file) => access(file)));
    }
  });

  it('has a confirmatory part of whole tenants with a chain, which nobody looks at before its end', async () => {
    const experiment = await loadExperiment(path.join(FOLDER, 'registered/confirm.yaml'), MODELS);
    expect(experiment).toMatchObject({ blind: true, tenants_apart: true, hours: 24 });
    const items = planExperiment(experiment);
    const tenants = [...new Set(items.map(({ tenant }) => tenant!.seed + tenant!.task.name))];
    expect(tenants).toHaveLength(12);
    // Tenants come one after the other, with equal numbers of items.
    expect(items.map(({ tenant }) => tenants.indexOf(tenant!.seed + tenant!.task.name))).toEqual(
      tenants.flatMap((_, i) => Array<number>(4 + 1 + 4 + 27).fill(i)),
    );
    const jobs = items.filter((item) => item.type === 'cell');
    const sizes = (evolution: string, strategy: string): (number | undefined)[] =>
      [64, 256, 1000].map((rows) => {
        const found = jobs.filter((job) => job.evolution.name === evolution && job.strategy.name === strategy);
        return found.filter((job) => job.rows === rows).length;
      });
    const all = {
      neutral: [0, 12, 0],
      helpful: [0, 0, 12],
      harmful: [12, 0, 12],
      'helpful-after-neutral': [0, 12, 0],
    };
    for (const [evolution, expected] of Object.entries(all)) {
      for (const strategy of ['auto', 'paper', 'scratch']) expect(sizes(evolution, strategy)).toEqual(expected);
      expect(sizes(evolution, 'warm-start')).toEqual([0, expected[1], 0]);
      expect(sizes(evolution, 'auto-alone')).toEqual([0, 0, expected[2]]);
      for (const strategy of ['reuse', 'revert'])
        expect(sizes(evolution, strategy)).toEqual([0, expected[1], expected[2]]);
    }
    expect(jobs).toHaveLength(324);
    const chained = jobs.filter(({ evolution }) => evolution.name === 'helpful-after-neutral');
    const keys = new Map(items.map(({ key }, i) => [key, i]));
    expect(chained.every(({ key, parent }) => keys.get(parent!.key)! < keys.get(key)!)).toBe(true);
    expect(chained.every(({ parent }) => parent?.evolution.name === 'neutral')).toBe(true);
  });
});

describe('the registered files', () => {
  it.each(registered)('%s cuts no strategy short, and gives jobs other seeds than old adapters', async (name) => {
    const { strategies, job_seed: jobSeed } = await load(name);
    expect(jobSeed).toBe(1000);
    for (const { name: strategy, options } of strategies.filter(({ options }) => isTrained(options.strategy)))
      expect([strategy, options.least_power]).toEqual([strategy, 0]);
  });

  it.each(registered)('%s gives the training from scratch of auto the rate that was swept for it', async (name) => {
    const { strategies } = await load(name);
    const scratch = (await load('confirm.yaml')).strategies.find(({ options }) => options.strategy === 'scratch')!;
    expect(scratch.options.learning_rate).toBeGreaterThan(0);
    const rated = strategies.filter(
      ({ options }) => options.strategy === 'auto' && options.learning_rate !== undefined,
    );
    for (const { options } of rated) expect(options.scratch_learning_rate).toBe(scratch.options.learning_rate);
  });

  it('sweep the pull of the published method from what its strength has measured', async () => {
    const cells = async (name: string) => planExperiment(await load(name)).filter(({ type }) => type === 'cell');
    const strength = new Set((await cells('sweep-paper-strength.yaml')).map(({ key }) => key));
    const pull = await cells('sweep-paper-pull.yaml');
    expect(pull.map(({ key }) => strength.has(key))).toEqual([true, false, false, true, false, false]);
  });

  it('end generated text where no chat template does', async () => {
    const tasks = (await Promise.all(registered.map(load))).flatMap((experiment) => experiment.tasks);
    const generated = tasks.filter(
      ({ metric, name }) => metric !== 'accuracy' && !['home-commands', 'past-chat'].includes(name),
    );
    expect(new Set(generated.map(({ name }) => name))).toEqual(new Set(['past', 'plural', 'pronunciation']));
    expect(generated.every((task) => task.append_eos)).toBe(true);
  });
});

function isTrained(strategy: string): boolean {
  return strategy !== 'reuse' && strategy !== 'revert';
}
