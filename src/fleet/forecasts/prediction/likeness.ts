/** Degrees of likeness between measured and predicted jobs, closest first. */
export const LIKENESSES = ['pair', 'base_model', 'size'] as const;
export type Likeness = (typeof LIKENESSES)[number];
