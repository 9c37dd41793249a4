/** What an input of a graph holds of a weight that is multiplied in 8 bits. */
export interface Int8Input {
  readonly weight: string;
  readonly part: 'matrix' | 'matrix_transposed' | 'scales' | 'scales_transposed' | 'smoothing';
}

export function int8InputName({ weight, part }: Int8Input): string {
  return `${weight}.int8_${part}`;
}

/** Reads a name of {@link int8InputName}; returns undefined for the name of another input. */
export function parseInt8Input(name: string): Int8Input | undefined {
  const groups = /^(?<weight>.*)\.int8_(?<part>(?:matrix|scales)(?:_transposed)?|smoothing)$/.exec(name)?.groups;
  return groups as Int8Input | undefined;
}

/** Names the output with the largest absolute number in each column of what a weight is multiplied with. */
export function largestName(weight: string): string {
  return `${weight}.largest_operands`;
}

/** Whether an input is the matrix of a linear layer inside the decoder, neither the embedding nor the output head. */
export function isLayerMatrix(name: string): boolean {
  return /\.layers\..*_proj\.weight$/.test(name);
}
