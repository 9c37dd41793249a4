/** Input of a graph that derives from a weight multiplied in 8 bits. */
export interface Int8Input {
  readonly weight: string;
  readonly part: 'matrix' | 'matrix_transposed' | 'scales' | 'scales_transposed' | 'smoothing';
}

export function int8InputName({ weight, part }: Int8Input): string {
  return `${weight}.int8_${part}`;
}

/** Parses a name of {@link int8InputName}; returns undefined for other inputs. */
export function parseInt8Input(name: string): Int8Input | undefined {
  const groups = /^(?<weight>.*)\.int8_(?<part>(?:matrix|scales)(?:_transposed)?|smoothing)$/.exec(name)?.groups;
  return groups as Int8Input | undefined;
}

/** Name of the output with the largest magnitude in each column of a weight's operand. */
export function largestName(weight: string): string {
  return `${weight}.largest_operands`;
}

/** Whether an input is the matrix of a linear layer of the decoder, rather than the embedding or the output head. */
export function isLayerMatrix(name: string): boolean {
  return /\.layers\..*_proj\.weight$/.test(name);
}
