/**
 * Input of an int8 graph that holds something derived from one of the base's weights: integers, scales or smoothing
 * divisors.
 */
export interface Int8Input {
  readonly weight: string;
  readonly part: 'matrix' | 'matrix_transposed' | 'scales' | 'scales_transposed' | 'smoothing';
}

export function int8InputName({ weight, part }: Int8Input): string {
  return `${weight}.int8_${part}`;
}

/**
 * Splits the name of an int8 input, as {@link int8InputName} makes it, into weight and part. Returns undefined for any
 * other name.
 */
export function parseInt8Input(name: string): Int8Input | undefined {
  const groups = /^(?<weight>.*)\.int8_(?<part>(?:matrix|scales)(?:_transposed)?|smoothing)$/.exec(name)?.groups;
  return groups as Int8Input | undefined;
}

/**
 * Name of the graph's output with the largest magnitude in each column of x, the rows that are multiplied by the
 * weight.
 */
export function largestName(weight: string): string {
  return `${weight}.largest_operands`;
}

/**
 * Whether a graph's input is the matrix of a linear layer of the decoder, rather than the embedding or the output head.
 */
export function isLayerMatrix(name: string): boolean {
  return /\.layers\..*_proj\.weight$/.test(name);
}
