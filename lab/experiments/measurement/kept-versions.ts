import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic, writeFolderAtomic } from '../../../core/formats/atomic-file.ts';
import type { EvolutionConfig } from '../config/experiment.schema.ts';
import { folderName } from '../plan/keys.ts';

/**
 * Folder of the difference between two bases, which is computed once, as in a rollout.
 * @param out folder of the experiment's results
 * @param from name of an earlier evolution of the chain, or null for the experiment's base
 */
export function evolutionFolder(out: string, { name }: EvolutionConfig, from: string | null): string {
  return path.resolve(out, 'evolutions', from === null ? name : `${name}@${from}`);
}

/** Published adapters that the next jobs of a chain carry over. They are kept in the folder of results. */
export class KeptVersions {
  readonly #folder: string;

  /** @param out folder of the experiment's results */
  constructor(out: string) {
    this.#folder = path.resolve(out, 'versions');
  }

  /** PEFT folder of the adapter that a job has published. @param key key of the job's item */
  folderOf(key: string): string {
    return path.join(this.#folder, folderName(key));
  }

  has(key: string): boolean {
    return existsSync(this.folderOf(key));
  }

  /** Copies a PEFT folder atomically. It replaces the copy of an earlier run of the same job. */
  async keep(key: string, published: string): Promise<void> {
    const copy = async (temporary: string): Promise<void> => {
      for (const name of await readdir(published))
        await writeFileAtomic(path.join(temporary, name), await readFile(path.join(published, name)));
    };
    await writeFolderAtomic(this.folderOf(key), copy, { replace: true });
  }
}
