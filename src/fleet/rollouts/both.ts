/** Waits until both have ended, also if one of them fails, so that nothing goes on behind the caller's back. @throws the first's error */
export async function both<First, Second>(first: Promise<First>, second: Promise<Second>): Promise<[First, Second]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
