/**
 * Waits until both promises have settled, even if one fails, so that nothing keeps running behind the caller's back.
 * @throws the error of the first
 */
export async function both<First, Second>(first: Promise<First>, second: Promise<Second>): Promise<[First, Second]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
