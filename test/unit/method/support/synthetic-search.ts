import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { searchCoefficients } from '../../../../core/method/search/coefficient-search.ts';
import type { SearchEvaluation, SearchTask } from '../../../../core/method/search/search-task.ts';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';

/** Shape of a loss over alpha and beta. */
export interface Surface {
  /** Coefficients of the smallest loss. */
  readonly best: Coefficients;
  /** Increase of ln(loss) per squared unit of each coefficient. Default 0.1 and 0.6: flat along alpha. */
  readonly curvature?: Coefficients;
  /** Spread of the rows' own optima. Default 0.15. */
  readonly spread?: number;
  readonly rows?: number;
  readonly seed?: number;
}

/** Task whose rows' losses are a formula; its "adapters" are coefficients. It counts the cost of a search. */
export class SyntheticSearch {
  readonly history: SearchEvaluation[] = [];
  measured = 0;
  /** Called before each measurement; may throw, as a killed process would. */
  before: () => void = () => undefined;
  readonly #surface: Required<Surface>;
  readonly #rows: readonly { readonly level: number; readonly tokens: number; readonly shift: number }[];

  constructor(surface: Surface) {
    this.#surface = { curvature: { alpha: 0.1, beta: 0.6 }, spread: 0.15, rows: 64, seed: 1, ...surface };
    const random = Random.fromSeed(this.#surface.seed + 500);
    this.#rows = Array.from({ length: this.#surface.rows }, () => {
      return {
        level: Math.exp(0.8 * random.normal()),
        tokens: 1 + random.integer(4),
        shift: this.#surface.spread * random.normal(),
      };
    });
  }

  /** Mean loss a token over all rows. */
  loss(coefficients: Coefficients): number {
    const losses = this.#rows.map((_, row) => this.#rowLoss(coefficients, row));
    return losses.reduce((sum, loss) => sum + loss, 0) / this.#rows.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  #rowLoss({ alpha, beta }: Coefficients, row: number): number {
    const { best, curvature } = this.#surface;
    const { level, tokens, shift } = this.#rows[row]!;
    const rise = curvature.alpha * (alpha - best.alpha) ** 2 + curvature.beta * (beta - best.beta - shift) ** 2;
    return tokens * level * Math.exp(rise);
  }

  task(more: Partial<SearchTask> = {}): SearchTask {
    let clock = 0;
    return {
      options: {},
      seed: this.#surface.seed,
      signal: new AbortController().signal,
      history: [...this.history],
      rows: this.#rows.length,
      fuse: (coefficients) => coefficients as unknown as Adapter,
      loss: async (adapter) => {
        this.before();
        this.measured++;
        return this.loss(adapter as unknown as Coefficients);
      },
      onEvaluation: async (evaluation) => void this.history.push(evaluation),
      now: () => (clock += 1),
      ...more,
    };
  }

  search(more: Partial<SearchTask> = {}): Promise<Coefficients> {
    return searchCoefficients(this.task(more));
  }
}
