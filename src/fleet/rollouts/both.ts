/**
 * Waits until both promises have settled, even if one is rejected, so that neither still runs when the caller goes on.
 * @throws the error of the first promise; that of the second if only the second is rejected
 */
export async function both<First, Second>(first: Promise<First>, second: Promise<Second>): Promise<[First, Second]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
