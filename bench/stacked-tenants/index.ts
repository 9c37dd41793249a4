import path from 'node:path';
import { Command, Option } from 'commander';
import { DEVICES, type Device } from '../../core/options/devices.ts';
import { PRECISION_SETTINGS, type PrecisionSetting } from '../../core/options/precisions.ts';
import { createAdapter } from '../../core/models/lora/lora-init.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import { makeBatch } from '../../core/data/make-batch.ts';
import { BaseCache } from '../../core/engine/base-cache.ts';
import { tokenizeRows } from '../../core/data/task-data.ts';
import { median } from '../engine/statistics.ts';

const ROOT = path.join(import.meta.dirname, '../..');

const command = new Command('bench:stacked-tenants')
  .description(
    'what adapting several tenants in one step could gain at most: gradients of all their rows in one pass under one adapter, against a pass a tenant',
  )
  .option('--model <dir>', 'Hugging Face folder of the base model', path.join(ROOT, 'examples/demo-family/v1'))
  .option('--task <name>', 'rows of examples/demo-family/data: sst2 or agnews', 'sst2')
  .option('--rounds <n>', 'interleaved rounds', Number, 7)
  .addOption(new Option('--device <name>', 'what computes').choices(DEVICES).default('cpu'))
  .addOption(new Option('--precision <name>', "of the base's matrices").choices(PRECISION_SETTINGS).default('f32'))
  .parse();
const { model, task, rounds, device, precision } = command.opts<Options>();

interface Options {
  readonly model: string;
  readonly task: string;
  readonly rounds: number;
  readonly device: Device;
  readonly precision: PrecisionSetting;
}

const bases = new BaseCache({ device, precision });
const { model: base, tokenizer, runtime } = await bases.load(model);
const rows = await loadDataset(path.join(ROOT, 'examples/demo-family/data', task, 'train.jsonl'));
const examples = tokenizeRows(rows.slice(0, 256), { tokenizer, config: base.config });
const adapter = createAdapter({ base: base.config, rank: 8, alpha: 16, targetModules: 'all-linear', seed: 1 });

/** Seconds of one pass over each list of examples. */
async function seconds(passes: readonly (typeof examples)[]): Promise<number> {
  const begun = performance.now();
  for (const pass of passes) await runtime.gradients(adapter, makeBatch(pass), 1);
  return (performance.now() - begun) / 1000;
}

console.log('tenants x rows   tokens a tenant   a pass each   one pass   gain at most');
for (const rowsEach of [4, 8, 16]) {
  for (const tenants of [2, 4]) {
    const each = Array.from({ length: tenants }, (_, tenant) =>
      examples.slice(tenant * rowsEach, (tenant + 1) * rowsEach),
    );
    await seconds([...each, each.flat()]);
    const [apart, together]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      apart.push(await seconds(each));
      together.push(await seconds([each.flat()]));
    }
    const tokens = Math.round(makeBatch(each.flat()).inputIds.length / tenants);
    const [a, b] = [median(apart), median(together)];
    const columns = [
      `${tenants} x ${rowsEach}`.padEnd(14),
      `${tokens}`.padStart(17),
      `${(1000 * a).toFixed(0)} ms`.padStart(13),
    ];
    console.log(
      `${columns.join(' ')} ${`${(1000 * b).toFixed(0)} ms`.padStart(10)} ${(a / b).toFixed(2).padStart(14)}`,
    );
  }
}
await bases.dispose();
