/**
 * Degrees of likeness between measured jobs and jobs to predict, closest first: same two base model versions, same base
 * model, or another base model whose times are scaled by size.
 */
export const LIKENESSES = ['pair', 'base_model', 'size'] as const;
export type Likeness = (typeof LIKENESSES)[number];
