import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../../cli/process/errors.ts';
import { writeFileAtomic, writeFolderAtomic } from '../../../core/formats/atomic-file.ts';
import { toStoredRow } from '../../../core/formats/dataset/dataset-row.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { findChoices, type ChoiceSet } from '../../../core/data/choices.ts';
import { loadDataset } from '../../../core/data/dataset.ts';
import type { ExampleRow, TokenizedExample } from '../../../core/data/example.ts';
import type { LoadedBase } from '../../../core/engine/base-cache.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { train } from '../../../core/training/trainer.ts';
import type { TenantSpec } from '../plan/tenant-spec.ts';
import { tenantRows } from './tenant-rows.ts';

/** Files of one tenant. */
export interface Tenant {
  readonly spec: TenantSpec;
  /** PEFT folder of the adapter for the old base. */
  readonly adapter: string;
  /** File of the validation rows, which the product divides into search rows and gate rows. */
  readonly validation: string;
  readonly test: string;
  /** File of all training rows, shuffled by the seed. A job with n rows gets the first n. */
  readonly train: string;
}

/** Tokenized rows with which the harness itself trains and measures. */
export interface TenantData {
  readonly train: readonly TokenizedExample[];
  readonly test: readonly TokenizedExample[];
  readonly choices: ChoiceSet | null;
}

function tenantAt(folder: string, spec: TenantSpec): Tenant {
  const at = (name: string): string => path.join(folder, name);
  return {
    spec,
    adapter: at('adapter'),
    validation: at('validation.jsonl'),
    test: at('test.jsonl'),
    train: at('train.jsonl'),
  };
}

/**
 * Makes the tenant's folder atomically, with its rows and an adapter trained on the old base, unless it exists. Equal
 * specifications and seeds give equal bytes.
 */
export async function ensureTenant(
  folder: string,
  spec: TenantSpec,
  base: LoadedBase,
  signal: AbortSignal,
): Promise<Tenant> {
  if (await exists(folder)) return tenantAt(folder, spec);
  await writeFolderAtomic(folder, async (temporary) => {
    const files = tenantAt(temporary, spec);
    const rows = await tenantRows(spec);
    await writeFileAtomic(files.train, toJsonl(rows.train));
    await writeFileAtomic(files.validation, toJsonl(rows.validation));
    await writeFileAtomic(files.test, toJsonl(rows.test));
    await trainOldAdapter(files, base, signal);
  });
  return tenantAt(folder, spec);
}

/** Loads and tokenizes the rows. The choices come from training, validation and test rows together. */
export async function loadTenantData(tenant: Tenant, base: LoadedBase): Promise<TenantData> {
  const [rows, held, test] = await Promise.all(
    [tenant.train, tenant.validation, tenant.test].map((file) => loadDataset(file)),
  );
  const { append_eos: appendEos } = tenant.spec.task;
  const options = { tokenizer: base.tokenizer, config: base.model.config, appendEos };
  const tokenize = (list: readonly ExampleRow[]) => tokenizeRows(list, options);
  return {
    train: tokenize(rows!),
    test: tokenize(test!),
    choices: findChoices([...rows!, ...held!, ...test!], options),
  };
}

/** Returns the first `rows` training rows as JSONL. @throws UsageError if there are fewer */
export async function firstRows(tenant: Tenant, rows: number): Promise<string> {
  const lines = (await readFile(tenant.train, 'utf8')).split('\n').slice(0, -1);
  if (lines.length >= rows)
    return lines
      .slice(0, rows)
      .map((line) => `${line}\n`)
      .join('');
  const { name } = tenant.spec.task;
  throw new UsageError(
    `rows has ${rows}, expected at most ${lines.length}, the training rows of the old adapter of task ${name}`,
  );
}

async function trainOldAdapter(tenant: Tenant, base: LoadedBase, signal: AbortSignal): Promise<void> {
  const { recipe, seed, task } = tenant.spec;
  const { config, weights, fingerprint } = base.model;
  const { rank = 8, alpha = 2 * rank, dora, rslora, targets = 'all-linear' } = recipe;
  const shape = { rank, alpha, useDora: dora, useRslora: rslora, targetModules: targets };
  const { train: examples } = await loadTenantData(tenant, base);
  const { adapter, steps } = await train({
    runtime: base.runtime,
    initial: createAdapter({ base: config, weights, ...shape, seed }),
    examples,
    steps: recipe.steps,
    batchSize: recipe.batch_size,
    learningRate: recipe.learning_rate,
    seed,
    signal,
  });
  await saveAdapter(tenant.adapter, adapter, {
    manifest: {
      ...{ baseFingerprint: fingerprint, strategy: 'train', metrics: { steps } },
      // Jobs tokenize their rows as the adapter's manifest says.
      ...(task.append_eos && { appendEos: true }),
    },
  });
}

export function toJsonl(rows: readonly ExampleRow[]): string {
  return rows.map((row) => `${JSON.stringify(toStoredRow(row))}\n`).join('');
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
