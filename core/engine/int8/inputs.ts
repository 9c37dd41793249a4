/** What an input of a graph holds of a weight that is multiplied in 8 bits. */
export interface Int8Input {
  readonly weight: string;
  readonly part: 'matrix' | 'matrix_transposed' | 'scales' | 'scales_transposed' | 'smoothing';
}

export function int8InputName({ weight, part }: Int8Input): string {
  return `${weight}.int8_${part}`;
}

/** undefined for the name of another input. */
export function parseInt8Input(name: string): Int8Input | undefined {
  const match = /^(.*)\.int8_((?:matrix|scales)(?:_transposed)?|smoothing)$/.exec(name);
  return match ? { weight: match[1]!, part: match[2] as Int8Input['part'] } : undefined;
}

/** Name of a graph's output with the largest absolute number in each column of what a weight is multiplied with. */
export function largestName(weight: string): string {
  return `${weight}.largest_operands`;
}

/** Whether an input is the matrix of a linear layer inside the decoder: not the embedding, and not the output head. */
export function isLayerMatrix(name: string): boolean {
  return /\.layers\..*_proj\.weight$/.test(name);
}
