/** How like measured jobs are to those that are predicted, the most alike first. */
export const LIKENESSES = ['pair', 'base_model', 'size'] as const;
export type Likeness = (typeof LIKENESSES)[number];
