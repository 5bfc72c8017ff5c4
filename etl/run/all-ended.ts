/** As Promise.all, but when one fails the others are waited for all the same: nothing goes on when this has thrown. */
export async function allEnded<Work extends readonly unknown[] | []>(
  work: Work,
): Promise<{ -readonly [I in keyof Work]: Awaited<Work[I]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
