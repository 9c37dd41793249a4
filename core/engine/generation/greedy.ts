import { setImmediate } from 'node:timers/promises';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { keepsAngles } from '../../models/config/rotary-angles.ts';
import type { ForwardStates, Runtime } from '../runtime.ts';
import { argmax, usableDraft, VerifiedDraft, type DraftLimits } from './draft.ts';
import { bytesPerToken, KeyValueCache, type CachePlace } from './key-value-cache.ts';

/** A prompt to continue. */
export interface GenerationRequest {
  /** Ids of the prompt's tokens, at least one. */
  readonly promptIds: readonly number[];
  /** Largest number of tokens to generate, at least one. */
  readonly maxNewTokens: number;
  /**
   * Ids of tokens that are likely to follow the prompt. They go through the model together with the prompt, and the
   * text takes them up to the first that is not the most probable token at its position (Leviathan et al. 2023, arXiv
   * 2211.17192, here with a given draft). Apart from rounding, the draft changes only the time that generation takes,
   * not the generated tokens. Default: none.
   */
  readonly draftIds?: readonly number[];
}

/** Reason why a text ended; `settled` means that the caller's listener needs no more of the text. */
export type StopReason = 'end_of_text' | 'stop_string' | 'settled' | 'max_new_tokens';

export interface GeneratedTokens {
  /** Ids of all generated tokens, including the end-of-text token. */
  readonly tokenIds: readonly number[];
  readonly stop: StopReason;
  /** Number of tokens that were taken from the draft. */
  readonly draftTokens: number;
  /**
   * Number of tokens that a single generation step had to choose during the draft, because two tokens were equally
   * probable up to rounding.
   */
  readonly nearTies: number;
}

export interface GenerationOptions {
  /** Ids of the tokens that end a text. */
  readonly endIds: ReadonlySet<number>;
  /**
   * Function that receives the ids of all generated tokens of a request after each new one, and returns the reason why
   * the text ends there; null if it goes on.
   */
  readonly onToken?: (request: number, tokenIds: readonly number[]) => StopReason | null;
  /**
   * Memory limit in bytes of the cached keys and values. A text that needs more is generated alone. Default: 512 MiB.
   */
  readonly cacheBytes?: number;
  /** Largest number of texts that are generated at the same time. Default: 64. */
  readonly maxRows?: number;
  /** Signal that is checked before every forward pass. */
  readonly signal?: AbortSignal;
}

/** Largest number of prompt tokens in one forward pass. */
const PREFILL_TOKENS = 1024;

const DEFAULT_CACHE_BYTES = 512 * 2 ** 20;
const DEFAULT_MAX_ROWS = 64;

/** A text that is being generated. Its keys and values occupy a row of the cache. */
interface Row {
  readonly request: number;
  /** Ids of the prompt's tokens, followed by those of the generated ones. */
  readonly ids: number[];
  readonly promptLength: number;
  /** Largest number of tokens that the text may have, prompt included. */
  readonly limit: number;
  /** Number of tokens of the text when its rotary angles were last computed; 0 before the first pass. */
  anglesOf: number;
  /**
   * Ids of the draft's tokens, which may follow `ids` and go through the model in the first pass over the whole text.
   */
  draftIds: readonly number[];
  /** Draft whose tokens the first pass over the whole text has verified; null before that pass. */
  draft: VerifiedDraft | null;
  nearTies: number;
}

/** Texts of a forward pass with their places in {@link Generation.#rows}, and the tokens that the pass appends. */
type Appended = readonly { readonly index: number; readonly row: Row; readonly tokens: readonly number[] }[];

/**
 * Continues prompts with the most probable token at each step (the lowest id of equally probable ones). Apart from
 * rounding ({@link Runtime.logitRounding}), a text's tokens do not depend on the other texts in the batch. Finished
 * texts make room for others, and keys and values of earlier tokens are cached, up to a limit in bytes. If rotary
 * angles depend on the text length (`dynamic`, `longrope`), a text whose growth changes them is computed again, so that
 * every token follows from the same forward pass as without a cache.
 * @returns one result for each request, in their order
 * @throws RangeError for a request without a prompt token or a new token
 */
export async function generateGreedily(
  runtime: Runtime,
  adapter: Adapter | null,
  requests: readonly GenerationRequest[],
  options: GenerationOptions,
): Promise<GeneratedTokens[]> {
  const generation = new Generation(runtime, adapter, requests, options);
  while (generation.open) {
    options.signal?.throwIfAborted();
    await generation.advance();
    // A runtime may block the event loop for a whole pass. This lets messages, such as a cancellation, arrive.
    await setImmediate();
  }
  return requests.map((_, request) => generation.results.get(request)!);
}

class Generation {
  readonly results = new Map<number, GeneratedTokens>();
  readonly #runtime: Runtime;
  readonly #adapter: Adapter | null;
  readonly #options: GenerationOptions;
  /** Waiting texts, longest first, so that the memory is at its peak at the start. */
  readonly #queue: Row[];
  /** Texts that are in the cache; the index of a text is its row there. */
  readonly #rows: Row[] = [];
  readonly #cache: KeyValueCache;
  readonly #maxRows: number;
  #doraFactors: ForwardStates['doraFactors'] = new Map();

  constructor(
    runtime: Runtime,
    adapter: Adapter | null,
    requests: readonly GenerationRequest[],
    options: GenerationOptions,
  ) {
    [this.#runtime, this.#adapter, this.#options] = [runtime, adapter, options];
    const limits = { config: runtime.base.config, endIds: options.endIds, mostLabels: mostLabelsOf(runtime) };
    this.#queue = requests.map((request, index) => newRow(request, index, limits)).sort((a, b) => b.limit - a.limit);
    this.#maxRows = rowsWithin(runtime.base.config, this.#queue, options);
    this.#cache = new KeyValueCache(runtime.base.config, this.#maxRows);
  }

  get open(): boolean {
    return this.#queue.length + this.#rows.length > 0;
  }

  /**
   * Runs one forward pass: over whole texts whose keys and values are not cached or no longer valid, or else over one
   * further token of every text.
   */
  async advance(): Promise<void> {
    // New texts wait until half of the rows are free, since a pass over one prompt costs as much as a step of all rows.
    if (2 * this.#rows.length <= this.#maxRows) this.#admit();
    const { config } = this.#runtime.base;
    const uncached = [...this.#rows.entries()].filter(([, { ids, anglesOf }]) => {
      return anglesOf === 0 || !keepsAngles(config, anglesOf, ids.length);
    });
    if (uncached.length > 0) await this.#prefill(uncached);
    else await this.#decode();
  }

  #admit(): void {
    for (const row of this.#queue.splice(0, this.#maxRows - this.#rows.length)) {
      this.#cache.add();
      this.#rows.push(row);
    }
  }

  async #prefill(uncached: readonly (readonly [number, Row])[]): Promise<void> {
    const group = this.#withinPass(uncached);
    const texts = group.map(([, { ids, draftIds }]) => [...ids, ...draftIds]);
    const ends = runningSums(texts.map(({ length }) => length));
    const labels = group.flatMap(([, { draftIds }], text) => {
      return Array.from({ length: draftIds.length + 1 }, (_, label) => ends[text]! - draftIds.length - 1 + label);
    });
    const pass = await this.#runtime.prefill(this.#adapter, {
      inputIds: Int32Array.from(texts.flat()),
      sequenceLengths: Int32Array.from(texts, ({ length }) => length),
      labelPositions: Int32Array.from(labels),
      labelIds: new Int32Array(labels.length),
    });
    this.#doraFactors = pass.doraFactors;
    const vocab = pass.logits.length / labels.length;
    let start = 0;
    const appended = group.map(([index, row]) => {
      const end = start + (row.draftIds.length + 1) * vocab;
      const draft = new VerifiedDraft(row.draftIds, pass.logits.subarray(start, end), this.#runtime.logitRounding);
      start = end;
      const tokens = draft.begin();
      Object.assign(row, { draftIds: [], draft });
      return { index, row, tokens, computed: row.ids.length + Math.max(tokens.length - 1, draft.length) };
    });
    const places = appended.flatMap(({ index, computed }, text) => {
      const begin = ends[text]! - texts[text]!.length;
      return Array.from({ length: computed }, (_, slot) => {
        return { row: index, slot, state: pass.stateOfToken[begin + slot]! };
      });
    });
    this.#extend(pass, appended, places);
  }

  /** Takes texts from the beginning of a list as long as they stay within the limits of a pass; at least one text. */
  #withinPass(texts: readonly (readonly [number, Row])[]): (readonly [number, Row])[] {
    const mostLabels = mostLabelsOf(this.#runtime);
    let [tokens, labels] = [0, 0];
    return texts.filter(([, { ids, draftIds }], index) => {
      tokens += ids.length + draftIds.length;
      labels += draftIds.length + 1;
      return (tokens <= PREFILL_TOKENS && labels <= mostLabels) || index === 0;
    });
  }

  async #decode(): Promise<void> {
    const positions = Int32Array.from(this.#rows, ({ ids }) => ids.length - 1);
    const pass = await this.#runtime.decode(this.#adapter, {
      inputIds: Int32Array.from(this.#rows, ({ ids }) => ids.at(-1)!),
      positions,
      cache: this.#cache.arrays,
      slots: this.#cache.slots,
      doraFactors: this.#doraFactors,
    });
    const vocab = pass.logits.length / this.#rows.length;
    this.#extend(
      pass,
      this.#rows.map((row, index) => {
        return { index, row, tokens: followingTokens(row, pass.logits.subarray(index * vocab, (index + 1) * vocab)) };
      }),
      Array.from(positions, (slot, row) => ({ row, slot, state: row })),
    );
  }

  /** Stores the keys and values of a forward pass in the cache, and appends the tokens that follow to its texts. */
  #extend(pass: ForwardStates, appended: Appended, places: readonly CachePlace[]): void {
    const most = places.reduce((slots, { slot }) => Math.max(slots, slot + 1), 0);
    this.#cache.reserve(most, Math.max(...this.#rows.map(({ limit }) => limit)));
    this.#cache.write(pass, places);
    // Reverse order, because the last row moves into the place of a finished one.
    for (const { index, row, tokens } of appended.toReversed()) {
      const stop = this.#append(row, tokens);
      if (stop !== null) this.#finish(index, row, stop);
    }
  }

  /**
   * Appends tokens to a text, up to its end.
   * @returns the reason why the text ends; null if it goes on
   */
  #append(row: Row, tokens: readonly number[]): StopReason | null {
    for (const token of tokens) {
      row.anglesOf = row.ids.length;
      row.ids.push(token);
      const stop = this.#options.onToken?.(row.request, row.ids.slice(row.promptLength)) ?? null;
      if (this.#options.endIds.has(token)) return 'end_of_text';
      if (stop !== null) return stop;
      if (row.ids.length >= row.limit) return 'max_new_tokens';
    }
    return null;
  }

  #finish(index: number, { request, ids, promptLength, draft, nearTies }: Row, stop: StopReason): void {
    const draftTokens = draft?.taken ?? 0;
    this.results.set(request, { tokenIds: ids.slice(promptLength), stop, draftTokens, nearTies });
    this.#cache.remove(index);
    const last = this.#rows.pop()!;
    if (index < this.#rows.length) this.#rows[index] = last;
  }
}

/** Largest number of rows of logits that one forward pass may compute. */
function mostLabelsOf({ base, tokenBudgets }: Pick<Runtime, 'base' | 'tokenBudgets'>): number {
  return Math.max(1, Math.floor(tokenBudgets.logits / base.config.vocabSize));
}

function newRow(
  { promptIds, maxNewTokens, draftIds = [] }: GenerationRequest,
  request: number,
  limits: Pick<DraftLimits, 'config' | 'endIds' | 'mostLabels'>,
): Row {
  if (promptIds.length === 0) throw new RangeError(`request ${request} has no prompt token, expected at least one`);
  if (!(maxNewTokens >= 1)) throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected at least 1`);
  const limit = promptIds.length + maxNewTokens;
  return {
    request,
    ids: [...promptIds],
    promptLength: promptIds.length,
    limit,
    anglesOf: 0,
    draftIds: usableDraft(draftIds, { ...limits, promptLength: promptIds.length, maxNewTokens }),
    draft: null,
    nearTies: 0,
  };
}

/** Returns the token that a generation step has chosen, and the tokens of the text's draft that follow from it. */
function followingTokens(row: Row, logits: Float32Array): readonly number[] {
  const token = argmax(logits);
  if (!row.draft?.isTied) return [token];
  const tokens = row.draft.continue(token);
  row.nearTies++;
  return tokens;
}

/**
 * Returns the number of texts whose keys and values fit into the cache together if each is as long as the longest; at
 * least 1.
 */
function rowsWithin(config: ModelConfig, rows: readonly Row[], options: GenerationOptions): number {
  return fittingRows(config, { count: rows.length, longest: rows[0]?.limit ?? 1 }, options);
}

/** Number and largest length of texts to generate. */
export interface TextSizes {
  readonly count: number;
  /** Number of tokens of the longest text, including its prompt. */
  readonly longest: number;
}

function fittingRows(
  config: ModelConfig,
  { count, longest }: TextSizes,
  { cacheBytes = DEFAULT_CACHE_BYTES, maxRows = DEFAULT_MAX_ROWS }: Pick<GenerationOptions, 'cacheBytes' | 'maxRows'>,
): number {
  const fitting = Math.floor(cacheBytes / (longest * bytesPerToken(config)));
  return Math.max(1, Math.min(maxRows, count, fitting));
}

/** Largest memory that the keys and values of the generated texts take at a time, in bytes. */
export function generationCacheBytes(config: ModelConfig, texts: TextSizes): number {
  return fittingRows(config, texts, {}) * texts.longest * bytesPerToken(config);
}

function runningSums(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value) => (sum += value));
}
