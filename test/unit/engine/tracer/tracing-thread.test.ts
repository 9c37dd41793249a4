import { afterEach, describe, expect, it, vi } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { modelFor } from '../../../../core/engine/compiled/create-session.ts';
import { programSpec } from '../../../../core/engine/decoder/program-spec.ts';
import {
  CPU_PROVIDER,
  executionProviderOf,
  OBSERVING_PROVIDER,
} from '../../../../core/engine/devices/execution-provider.ts';
import { traceProgram } from '../../../../core/engine/tracer/trace-program.ts';
import { TracingThread, type ProvidedProgram } from '../../../../core/engine/tracer/tracing-thread.ts';
import { randomAdapter, randomBase, randomBatch } from '../support/random-model.ts';

// Wide enough for separate products, which int8 rewrites.
const BASE = randomBase({ hiddenSize: 512, intermediateSize: 512, numHeads: 8, numKeyValueHeads: 8, headDim: 64 });
const ADAPTER = randomAdapter(BASE, () => 4);
const losses = programSpec({ kind: 'labelLosses', config: BASE.config, adapter: null });
const gradients = programSpec({ kind: 'gradients', config: BASE.config, adapter: ADAPTER, repeats: true });

const programs: readonly ProvidedProgram[] = [
  { spec: losses, provider: OBSERVING_PROVIDER },
  { spec: losses, provider: executionProviderOf('cpu', 'int8') },
  { spec: gradients, provider: executionProviderOf('cpu', 'int8') },
  { spec: gradients, provider: CPU_PROVIDER },
];

const tracedHere = ({ spec, provider }: ProvidedProgram) => modelFor(provider, traceProgram(spec), new Map()).model;

let thread = new TracingThread();
afterEach(async () => {
  await thread.close();
  thread = new TracingThread();
});

describe('the tracing thread', () => {
  it('traces what is expected to the same bytes as this thread', async () => {
    thread.expect(programs);
    const models = await Promise.all(programs.map((program) => thread.take(program)));
    expect(new Set(models.map((model) => Buffer.from(model!).toString('base64'))).size).toBe(programs.length);
    for (const [index, program] of programs.entries()) {
      expect(Buffer.from(models[index]!).equals(tracedHere(program)), `program ${index}`).toBe(true);
    }
    // A running thread also traces programs that were not expected.
    const other = { spec: programSpec({ kind: 'logits', config: BASE.config, adapter: null }), provider: CPU_PROVIDER };
    expect(Buffer.from((await thread.take(other))!).equals(tracedHere(other))).toBe(true);
  });

  it('leaves to the caller what was not expected, what cannot be traced, and what it was closed before', async () => {
    expect(await thread.take(programs[0]!)).toBeNull();
    // This vocabulary size equals the symbol for the number of a batch's tokens.
    const clash = randomBase({ vocabSize: 20_011 });
    const impossible = {
      spec: programSpec({ kind: 'labelLosses', config: clash.config, adapter: null }),
      provider: CPU_PROVIDER,
    };
    expect(() => traceProgram(impossible.spec)).toThrow(RangeError);
    thread.expect([impossible]);
    expect(await thread.take(impossible)).toBeNull();
    thread.expect(programs);
    const waiting = thread.take(programs[3]!);
    await thread.close();
    expect(await waiting).toBeNull();
    await thread.idle();
  });

  it('gives a runtime the programs that it then computes with', async () => {
    const batch = randomBatch(BASE, [6, 6]);
    const [here, there] = [{}, { tracer: thread }].map(
      (options) => new CompiledRuntime(BASE, { threads: 1, ...options }),
    );
    const expected = await here!.labelLosses(null, batch);
    thread.expect([{ spec: losses, provider: CPU_PROVIDER }]);
    const take = vi.spyOn(thread, 'take');
    expect(await there!.labelLosses(null, batch)).toEqual(expected);
    expect(take).toHaveBeenCalledOnce();
    expect(await take.mock.results[0]!.value).not.toBeNull();
    await Promise.all([here!.dispose(), there!.dispose()]);
  });
});
