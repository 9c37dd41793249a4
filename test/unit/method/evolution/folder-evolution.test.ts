import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeBaseModel, loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { withModelWeights } from '../../../../core/formats/hugging-face/model-weights.ts';
import type { VerifiedFiles } from '../../../../core/formats/hugging-face/verified-files.ts';
import { computeEvolution, type WeightSource } from '../../../../core/method/evolution/evolution.ts';
import { evolutionBetweenFolders } from '../../../../core/method/evolution/folder-evolution.ts';
import { streamed } from '../../../../core/method/evolution/streamed-weights.ts';
import { collectGarbage } from '../../../garbage.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../training/support/tiny-task.ts';

const FAMILY = new URL('../../../../examples/demo-family/', import.meta.url).pathname;
const [V1, V2] = [`${FAMILY}v1`, `${FAMILY}v2`];

/** Tracker of the objects that were handed out and are still referenced. */
class LiveTensors {
  readonly handedOut: { readonly bytes: number; readonly data: WeakRef<Float32Array> }[] = [];
  readonly names: string[] = [];
  mostBytes = 0;
  mostTensors = 0;

  /**
   * Number of objects left after a garbage collection. It collects again if there seem to be too many: real references
   * stay.
   */
  async #live() {
    for (let attempt = 1; ; attempt++) {
      // A WeakRef holds its target until the turn of the event loop that made or read it is over.
      await nextTurn();
      collectGarbage();
      const live = this.handedOut.filter(({ data }) => data.deref() !== undefined);
      if (live.length <= 2 || attempt === 5) return live;
    }
  }

  watch(source: WeightSource): WeightSource {
    const { handedOut, names } = this;
    const readWeight: WeightSource['readWeight'] = async (name) => {
      const tensor = await source.readWeight(name);
      handedOut.push({ bytes: tensor.data.byteLength, data: new WeakRef(tensor.data) });
      names.push(name);
      const live = await this.#live();
      this.mostTensors = Math.max(this.mostTensors, live.length);
      this.mostBytes = Math.max(
        this.mostBytes,
        live.reduce((sum, { bytes }) => sum + bytes, 0),
      );
      return tensor;
    };
    return {
      config: source.config,
      get fingerprint() {
        return source.fingerprint;
      },
      readWeight,
    };
  }
}

describe('evolution between folders', () => {
  let family: TinyFamily;
  beforeAll(async () => void (family = await createTinyFamily()));
  afterAll(() => removeTinyFamily(family));

  it('reads every tensor once and never holds more than one of each version', async () => {
    const live = new LiveTensors();
    // Garbage is collected for each tensor, so the versions have few of them.
    const { parameters, tensors } = await describeBaseModel(family.oldBase);
    const largest = 4 * Math.max(...tensors.map(({ shape }) => shape.reduce((size, n) => size * n, 1)));
    await withModelWeights(family.oldBase, (from) =>
      withModelWeights(family.newBase, (to) =>
        computeEvolution(live.watch(streamed(from)), live.watch(streamed(to)), { rank: 2 }),
      ),
    );
    expect(live.handedOut.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2 * 4 * parameters);
    expect(live.names.filter((name) => name === 'model.embed_tokens.weight')).toHaveLength(2);
    expect(live.mostBytes).toBeLessThanOrEqual(2 * largest);
    expect(live.mostTensors).toBeLessThanOrEqual(2);
  });

  it('has the fingerprints and the bits of models in memory', async () => {
    const [old, next] = await Promise.all([loadBaseModel(family.oldBase), loadBaseModel(family.newBase)]);
    const inMemory = ({ config, fingerprint, weights }: typeof old): WeightSource => {
      return { config, fingerprint, readWeight: (name) => Promise.resolve(weights.get(name)!) };
    };
    const options = { rank: 3 };
    expect(await evolutionBetweenFolders(family.oldBase, family.newBase, options)).toEqual(
      await computeEvolution(inMemory(old), inMemory(next), options),
    );
  });

  it('has the same fingerprints and bits where threads read the bases', async () => {
    const options = { rank: 3 };
    const read = await evolutionBetweenFolders(V1, V2, { ...options, threads: true });
    expect(read).toEqual(await evolutionBetweenFolders(V1, V2, { ...options, threads: false }));
  });

  it.each([true, false])('names a tensor that is not finite (in threads: %s)', async (threads) => {
    const folder = await mkdtemp(join(tmpdir(), 'readapt-evolution-'));
    try {
      await cp(family.newBase, folder, { recursive: true });
      const file = join(folder, 'model.safetensors');
      const bytes = await readFile(file);
      // The last two bytes of the last tensor's data become an infinity.
      bytes.fill(0xff, bytes.length - 2);
      await writeFile(file, bytes);
      const broken = evolutionBetweenFolders(family.oldBase, folder, { rank: 2, threads });
      await expect(broken).rejects.toMatchObject({
        name: 'FormatError',
        code: 'not_finite',
        file: 'model.safetensors',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([true, false])('remembers the fingerprints of files that it has read (in threads: %s)', async (threads) => {
    const known = new Map<string, string>();
    const verified: VerifiedFiles = {
      find: (stamp) => Promise.resolve(known.get(stamp) ?? null),
      add: (stamp, fingerprint) => Promise.resolve(void known.set(stamp, fingerprint)),
    };
    const evolution = await evolutionBetweenFolders(family.oldBase, family.newBase, { rank: 2, threads, verified });
    const fingerprints = [evolution.oldFingerprint, evolution.newFingerprint];
    expect([...known.values()].sort()).toEqual(fingerprints.toSorted());
    expect(fingerprints[0]).toBe((await describeBaseModel(family.oldBase)).fingerprint);
    // Known fingerprints are trusted, so nothing is hashed.
    for (const [stamp, fingerprint] of known) known.set(stamp, `known ${fingerprint}`);
    const again = await evolutionBetweenFolders(family.oldBase, family.newBase, { rank: 2, threads, verified });
    expect([again.oldFingerprint, again.newFingerprint]).toEqual(fingerprints.map((each) => `known ${each}`));
    expect(again.modules).toEqual(evolution.modules);
  });

  it('stops when asked while threads read', async () => {
    const controller = new AbortController();
    const onProgress = (done: number): void => void (done === 2 && controller.abort(new Error('cancelled')));
    const running = evolutionBetweenFolders(V1, V2, { threads: true, signal: controller.signal, onProgress });
    await expect(running).rejects.toThrow('cancelled');
  });

  it('knows no fingerprint before it has read everything in order', async () => {
    await withModelWeights(V1, async (model) => {
      const source = streamed(model);
      expect(() => source.fingerprint).toThrow('before tensor model.embed_tokens.weight is read');
      await expect(source.readWeight('model.norm.weight')).rejects.toThrow(
        'out of turn, expected model.embed_tokens.weight',
      );
    });
  });
});
