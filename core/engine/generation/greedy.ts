import { setImmediate } from 'node:timers/promises';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { keepsAngles } from '../../models/config/rotary-angles.ts';
import type { ForwardStates, Runtime } from '../runtime.ts';
import { bytesPerToken, KeyValueCache, type CachePlace } from './key-value-cache.ts';

/** A prompt to be continued. */
export interface GenerationRequest {
  /** At least one token. */
  readonly promptIds: readonly number[];
  /** At least one. */
  readonly maxNewTokens: number;
}

/** Why a text ended. */
export type StopReason = 'end_of_text' | 'stop_string' | 'max_new_tokens';

export interface GeneratedTokens {
  /** Everything that was generated, the end-of-text token included. */
  readonly tokenIds: readonly number[];
  readonly stop: StopReason;
}

export interface GenerationOptions {
  /** Tokens after which a text ends. */
  readonly endIds: ReadonlySet<number>;
  /** Called with all tokens of a request after each new one; returns whether they hold a string to stop at. */
  readonly onToken?: (request: number, tokenIds: readonly number[]) => boolean;
  /** Bytes that keys and values may take; a single row that needs more is computed alone. Default: 512 MiB. */
  readonly cacheBytes?: number;
  /** Largest number of texts that grow at the same time. Default: 64. */
  readonly maxRows?: number;
  /** Checked before every forward pass. */
  readonly signal?: AbortSignal;
}

/** Tokens of prompts in one forward pass. */
const PREFILL_TOKENS = 1024;

const DEFAULT_CACHE_BYTES = 512 * 2 ** 20;
const DEFAULT_MAX_ROWS = 64;

/** A text that grows: a row of the cache. */
interface Row {
  readonly request: number;
  /** The prompt, and behind it what was generated. */
  readonly ids: number[];
  readonly promptLength: number;
  /** Number of tokens of the whole text at its longest. */
  readonly limit: number;
  /** Number of tokens of the text when its angles were computed; 0 before the prompt was. */
  anglesOf: number;
}

/**
 * Continues prompts with the most probable token at each step (the lowest id of equally probable ones). A text's tokens do
 * not depend on which others are computed along with it, beyond the rounding of float32. Texts that have ended make room
 * for others, and keys and values of earlier tokens are cached, within a limit of bytes. Where rotary angles depend on a
 * text's length (`dynamic`, `longrope`), a text whose growth changes them is computed anew, so that every token follows
 * from the same forward pass as without a cache.
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
    // A runtime may block the event loop for a whole pass; now messages, such as a cancellation, can arrive.
    await setImmediate();
  }
  return requests.map((_, request) => generation.results.get(request)!);
}

class Generation {
  readonly results = new Map<number, GeneratedTokens>();
  readonly #runtime: Runtime;
  readonly #adapter: Adapter | null;
  readonly #options: GenerationOptions;
  /** Longest text first, so that the memory is at its peak at the start. */
  readonly #queue: Row[];
  /** By their rows in the cache. */
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
    this.#queue = requests.map(newRow).sort((a, b) => b.limit - a.limit);
    this.#maxRows = rowsWithin(runtime.base.config, this.#queue, options);
    this.#cache = new KeyValueCache(runtime.base.config, this.#maxRows);
  }

  get open(): boolean {
    return this.#queue.length + this.#rows.length > 0;
  }

  /** Computes one forward pass: of texts that are not in the cache, as they are, or of one further token of every text. */
  async advance(): Promise<void> {
    // Half of the rows are filled at once, since a pass over one prompt costs as much as a step of all rows.
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
    const group = withinTokens(uncached);
    const texts = group.map(([, { ids }]) => ids);
    const ends = runningSums(texts.map(({ length }) => length));
    const pass = await this.#runtime.prefill(this.#adapter, {
      inputIds: Int32Array.from(texts.flat()),
      sequenceLengths: Int32Array.from(texts, ({ length }) => length),
      labelPositions: Int32Array.from(ends, (end) => end - 1),
      labelIds: new Int32Array(texts.length),
    });
    this.#doraFactors = pass.doraFactors;
    const places = group.flatMap(([row, { ids }], text) =>
      ids.map((_, slot) => ({ row, slot, state: pass.stateOfToken[ends[text]! - ids.length + slot]! })),
    );
    this.#extend(pass, group, places);
  }

  async #decode(): Promise<void> {
    const group = [...this.#rows.entries()];
    const positions = Int32Array.from(this.#rows, ({ ids }) => ids.length - 1);
    const pass = await this.#runtime.decode(this.#adapter, {
      inputIds: Int32Array.from(this.#rows, ({ ids }) => ids.at(-1)!),
      positions,
      cache: this.#cache.arrays,
      slots: this.#cache.slots,
      doraFactors: this.#doraFactors,
    });
    this.#extend(
      pass,
      group,
      group.map(([row]) => ({ row, slot: positions[row]!, state: row })),
    );
  }

  /** Caches what a pass has computed, and adds the most probable token to each of its texts. */
  #extend(pass: ForwardStates, group: readonly (readonly [number, Row])[], places: readonly CachePlace[]): void {
    const longest = Math.max(...this.#rows.map(({ ids }) => ids.length));
    this.#cache.reserve(longest, Math.max(...this.#rows.map(({ limit }) => limit)));
    this.#cache.write(pass, places);
    const vocab = pass.logits.length / group.length;
    for (const [index, [, row]] of group.entries()) {
      row.anglesOf = row.ids.length;
      row.ids.push(argmax(pass.logits.subarray(index * vocab, (index + 1) * vocab)));
    }
    // From the last to the first, because a row that ends gives its place to the last one.
    for (const [index, row] of group.toReversed()) this.#finish(index, row);
  }

  #finish(index: number, { request, ids, promptLength, limit }: Row): void {
    const tokenIds = ids.slice(promptLength);
    const found = this.#options.onToken?.(request, tokenIds) ?? false;
    const ended = this.#options.endIds.has(tokenIds.at(-1)!);
    if (!ended && !found && ids.length < limit) return;
    this.results.set(request, { tokenIds, stop: ended ? 'end_of_text' : found ? 'stop_string' : 'max_new_tokens' });
    this.#cache.remove(index);
    const last = this.#rows.pop()!;
    if (index < this.#rows.length) this.#rows[index] = last;
  }
}

function newRow({ promptIds, maxNewTokens }: GenerationRequest, request: number): Row {
  if (promptIds.length === 0) throw new RangeError(`request ${request} has no prompt token, expected at least one`);
  if (!(maxNewTokens >= 1)) throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected at least 1`);
  const limit = promptIds.length + maxNewTokens;
  return { request, ids: [...promptIds], promptLength: promptIds.length, limit, anglesOf: 0 };
}

/** Returns how many rows as long as the longest fit into the cache; at least one. */
function rowsWithin(config: ModelConfig, rows: readonly Row[], options: GenerationOptions): number {
  return fittingRows(config, { count: rows.length, longest: rows[0]?.limit ?? 1 }, options);
}

/** Texts to generate. */
export interface TextSizes {
  readonly count: number;
  /** Tokens of the longest one, with its prompt. */
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

/** Returns the bytes that keys and values of generated texts take at the most. */
export function generationCacheBytes(config: ModelConfig, texts: TextSizes): number {
  return fittingRows(config, texts, {}) * texts.longest * bytesPerToken(config);
}

/** Takes texts from the first on, as long as they have few enough tokens together; at least one. */
function withinTokens(texts: readonly (readonly [number, Row])[]): (readonly [number, Row])[] {
  let tokens = 0;
  return texts.filter(([, { ids }], index) => (tokens += ids.length) <= PREFILL_TOKENS || index === 0);
}

function runningSums(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value) => (sum += value));
}

/** Returns the index of the largest value; the first of equal ones. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
